package workflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
)

func flowOf(steps map[string][]string) map[string]core.FlowStep {
	flow := map[string]core.FlowStep{}
	for name, dependencies := range steps {
		flow[name] = core.FlowStep{Action: "a", DependsOn: dependencies}
	}
	return flow
}

func TestOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		steps map[string][]string
		want  []string
		err   string
	}{
		{"empty", nil, []string{}, ""},
		{"by name where free", map[string][]string{"c": nil, "a": nil, "b": nil}, []string{"a", "b", "c"}, ""},
		{"dependencies before names", map[string][]string{"a": {"z"}, "b": nil, "z": nil}, []string{"b", "z", "a"}, ""},
		{"diamond", map[string][]string{"d": {"b", "c"}, "c": {"a"}, "b": {"a", "a"}, "a": nil}, []string{"a", "b", "c", "d"}, ""},
		{"unknown step", map[string][]string{"b": {"nope"}}, nil, "Step 'b' depends on 'nope', a non-existent step"},
		{"self", map[string][]string{"a": {"a"}}, nil, "Cycle detected: a -> a"},
		{"cycle behind an entrance", map[string][]string{"x": {"b"}, "b": {"c"}, "c": {"a"}, "a": {"b"}}, nil, "Cycle detected: a -> b -> c -> a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			order, err := workflow.Order(flowOf(c.steps))
			if c.err != "" {
				require.EqualError(t, err, c.err)
				require.Equal(t, core.CodeInvalid, core.ErrorCode(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, order)
		})
	}
}

func TestDependantsAndSinks(t *testing.T) {
	t.Parallel()
	flow := flowOf(map[string][]string{"a": nil, "b": {"a", "a"}, "c": {"a"}, "d": {"c"}})
	require.Equal(t, map[string][]string{"a": {"b", "c"}, "c": {"d"}}, workflow.Dependants(flow))
	require.Equal(t, []string{"b", "d"}, workflow.Sinks(flow))
}

// Any graph is either put in order, with every step once and behind its dependencies, or it has a cycle.
func TestOrderOfAnyGraph(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		steps := map[string][]string{}
		for _, name := range names {
			steps[name] = rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, name)
		}
		order, err := workflow.Order(flowOf(steps))
		if err != nil {
			require.ErrorContains(t, err, "Cycle detected: ")
			return
		}
		require.ElementsMatch(t, names, order)
		done := map[string]bool{}
		for _, name := range order {
			for _, dependency := range steps[name] {
				require.True(t, done[dependency], "%s before %s in %v", name, dependency, order)
			}
			done[name] = true
		}
	})
}
