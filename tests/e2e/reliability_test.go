package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/failpoint"
)

const (
	reliability = "../../docs/reliability.md"
	matrixFrom  = "<!-- crash matrix: written by TestCrashMatrix -->\n"
	matrixTo    = "<!-- end of the crash matrix -->\n"
)

// writeMatrix writes the table of failpoints, and fails if that changes the document: what is committed has to be true.
func writeMatrix(t *testing.T, results []string) {
	t.Helper()
	document, err := os.ReadFile(reliability)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(document), matrixFrom)
	require.True(t, found, "%s lacks %q", reliability, matrixFrom)
	_, after, found := strings.Cut(rest, matrixTo)
	require.True(t, found, "%s lacks %q", reliability, matrixTo)
	var table strings.Builder
	table.WriteString("\n| point | killed when | afterwards |\n|---|---|---|\n")
	for i, point := range failpoint.Points {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", point.Name, point.When, results[i])
	}
	written := before + matrixFrom + table.String() + "\n" + matrixTo + after
	if written == string(document) {
		return
	}
	require.NoError(t, os.WriteFile(reliability, []byte(written), 0o644))
	t.Errorf("%s was not current; it is now, commit it", reliability)
}
