package workflow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/workflow"
)

// large is a task as large as may be: a chain of steps, each with a template of its own and a reference far back.
func large(steps int) []byte {
	var b strings.Builder
	b.WriteString("actions:\n  ok: {type: shell, cmd: 'true', input: {x: {type: string}}}\ntasks:\n  large:\n    flow:\n")
	for i := range steps {
		fmt.Fprintf(&b, "      s%d:\n        action: ok\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "        depends_on: [s%d]\n        input: {x: '{{ s%d.output }}'}\n", i-1, i/2)
		}
	}
	return []byte(b.String())
}

func TestLargeTask(t *testing.T) {
	t.Parallel()
	start := time.Now()
	ws, diags := workflow.Parse("large.yaml", large(10_000), fixed)
	require.Empty(t, diags)
	require.Len(t, ws.Tasks["large"].Flow, 10_000)
	require.Less(t, time.Since(start), 10*time.Second) // not a benchmark: it finds what is not linear

	_, diags = workflow.Parse("large.yaml", large(10_001), fixed)
	require.ErrorContains(t, diags.Err(), "the flow has 10001 steps, at most 10000 are allowed")
}

func BenchmarkLargeTask(b *testing.B) {
	data := large(10_000)
	for b.Loop() {
		_, diags := workflow.Parse("large.yaml", data, fixed)
		require.Empty(b, diags)
	}
}
