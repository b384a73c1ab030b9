package workflow

import (
	"container/heap"
	"maps"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
)

// Order lists the steps of a flow so that each comes after all that it depends on; where that leaves a choice, by name.
// A step that does not exist or a cycle is an error.
func Order(flow map[string]core.FlowStep) ([]string, error) {
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		for _, dependency := range flow[name].DependsOn {
			if _, ok := flow[dependency]; !ok {
				return nil, core.Errorf(core.CodeInvalid, "step_not_found",
					"Step '%s' depends on '%s', a non-existent step", name, dependency)
			}
		}
	}
	order, rest := sortSteps(flow)
	if len(rest) > 0 {
		return nil, core.Errorf(core.CodeInvalid, "cycle", "%s", cycleMessage(cycles(flow, rest)[0]))
	}
	return order, nil
}

// Dependants tells for each step which steps depend on it, by name.
func Dependants(flow map[string]core.FlowStep) map[string][]string {
	dependants := make(map[string][]string, len(flow))
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		for dependency := range dependencies(flow, name) {
			dependants[dependency] = append(dependants[dependency], name)
		}
	}
	return dependants
}

// Sinks lists the steps on which no other depends, by name: their outputs are the job's output.
func Sinks(flow map[string]core.FlowStep) []string {
	dependants := Dependants(flow)
	var sinks []string
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		if len(dependants[name]) == 0 {
			sinks = append(sinks, name)
		}
	}
	return sinks
}

// dependencies is the set of existing steps on which a step depends.
func dependencies(flow map[string]core.FlowStep, name string) map[string]bool {
	set := map[string]bool{}
	for _, dependency := range flow[name].DependsOn {
		if _, ok := flow[dependency]; ok {
			set[dependency] = true
		}
	}
	return set
}

// sortSteps returns the steps in order, and those that are in a cycle or behind one.
func sortSteps(flow map[string]core.FlowStep) (order []string, rest map[string]bool) {
	dependants, open := Dependants(flow), make(map[string]int, len(flow))
	rest = make(map[string]bool, len(flow))
	ready := &names{}
	for name := range flow {
		rest[name] = true
		if open[name] = len(dependencies(flow, name)); open[name] == 0 {
			*ready = append(*ready, name)
		}
	}
	heap.Init(ready)
	order = make([]string, 0, len(flow))
	for ready.Len() > 0 {
		name, _ := heap.Pop(ready).(string)
		order = append(order, name)
		delete(rest, name)
		for _, dependant := range dependants[name] {
			if open[dependant]--; open[dependant] == 0 {
				heap.Push(ready, dependant)
			}
		}
	}
	return order, rest
}

// cycles finds at least one cycle in every group of steps that wait for each other. Each begins with its first name.
func cycles(flow map[string]core.FlowStep, rest map[string]bool) [][]string {
	var found [][]string
	visited := make(map[string]int, len(rest)) // the walk that came by
	for walk, start := range slices.Sorted(maps.Keys(rest)) {
		var path []string
		name := start
		for visited[name] == 0 {
			visited[name] = walk + 1
			path = append(path, name)
			name = waitsFor(flow, rest, name)
		}
		if visited[name] != walk+1 {
			continue
		}
		cycle := path[slices.Index(path, name):]
		first := slices.Index(cycle, slices.Min(cycle))
		found = append(found, slices.Concat(cycle[first:], cycle[:first]))
	}
	return found
}

// waitsFor is the first dependency of a step that is itself never ready; every step in rest has one.
func waitsFor(flow map[string]core.FlowStep, rest map[string]bool, name string) string {
	first := ""
	for _, dependency := range flow[name].DependsOn {
		if rest[dependency] && (first == "" || dependency < first) {
			first = dependency
		}
	}
	return first
}

func cycleMessage(cycle []string) string {
	return "Cycle detected: " + strings.Join(cycle, " -> ") + " -> " + cycle[0]
}

// names is a heap of names.
type names []string

func (n names) Len() int           { return len(n) }
func (n names) Less(i, j int) bool { return n[i] < n[j] }
func (n names) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }

func (n *names) Push(x any) {
	name, _ := x.(string)
	*n = append(*n, name)
}

func (n *names) Pop() any {
	last := len(*n) - 1
	name := (*n)[last]
	*n = (*n)[:last]
	return name
}
