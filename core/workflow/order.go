package workflow

import (
	"container/heap"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
)

// Order returns all steps of a flow in topological order, ties in alphabetical order. It fails if a step depends on one
// that does not exist, or on itself by a cycle.
func Order(flow map[string]core.FlowStep) ([]string, error) {
	open, dependants := make(map[string]int, len(flow)), make(map[string][]string, len(flow))
	ready := names{}
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		dependencies := slices.Compact(slices.Sorted(slices.Values(flow[name].DependsOn)))
		for _, dependency := range dependencies {
			if _, ok := flow[dependency]; !ok {
				return nil, fmt.Errorf("step '%s' depends on the non-existent step '%s'", name, dependency)
			}
			dependants[dependency] = append(dependants[dependency], name)
		}
		if open[name] = len(dependencies); open[name] == 0 {
			ready = append(ready, name) // sorted, and so a heap
		}
	}
	order := make([]string, 0, len(flow))
	for len(ready) > 0 {
		name := heap.Pop(&ready).(string) //nolint:forcetypeassert // it holds nothing else
		order = append(order, name)
		for _, dependant := range dependants[name] {
			if open[dependant]--; open[dependant] == 0 {
				heap.Push(&ready, dependant)
			}
		}
	}
	if len(order) < len(flow) {
		return nil, fmt.Errorf("Cycle detected: %s", strings.Join(Cycle(flow), " -> ")) //nolint:revive,staticcheck // the contract's words
	}
	return order, nil
}

// Cycle returns the steps of one cycle of a flow, the first one repeated at the end, or nil.
func Cycle(flow map[string]core.FlowStep) []string {
	const (
		unseen = iota
		onPath
		done
	)
	state := map[string]int{}
	var path []string
	var visit func(string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case onPath:
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = onPath
		path = append(path, name)
		for _, dependency := range slices.Sorted(slices.Values(flow[name].DependsOn)) {
			if cycle := visit(dependency); cycle != nil {
				return cycle
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		if cycle := visit(name); cycle != nil {
			return cycle
		}
	}
	return nil
}

// names is a heap of step names in alphabetical order.
type names []string

func (n names) Len() int           { return len(n) }
func (n names) Less(i, j int) bool { return n[i] < n[j] }
func (n names) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }
func (n *names) Push(x any)        { *n = append(*n, x.(string)) } //nolint:forcetypeassert // called by heap alone
func (n *names) Pop() any {
	last := (*n)[len(*n)-1]
	*n = (*n)[:len(*n)-1]
	return last
}
