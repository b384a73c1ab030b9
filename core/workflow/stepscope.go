package workflow

import (
	"math/big"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
)

// stepScope knows which steps are done when another one begins.
type stepScope struct {
	flow   map[string]core.FlowStep
	names  map[string]string // by the name in templates
	index  map[string]int
	before map[string]*big.Int // the steps on which one depends, directly or not, as bits; made when first needed
}

func newStepScope(flow map[string]core.FlowStep) *stepScope {
	s := &stepScope{flow: flow, names: make(map[string]string, len(flow))}
	for name := range flow {
		s.names[template.StepKey(name)] = name
	}
	return s
}

// check judges a reference to a step; ok is false if it is to something else.
func (s *stepScope) check(step string, path []string) (problem string, ok bool) {
	other, ok := s.names[path[0]]
	switch {
	case !ok:
		return "", false
	case other == step:
		return "step '" + step + "' uses its own output", true
	case !s.isBefore(other, step):
		return "step '" + step + "' uses the output of '" + other + "', on which it does not depend: add it to depends_on", true
	case len(path) > 1 && path[1] != "output":
		return "'" + strings.Join(path[:2], ".") + "' is undefined: a step has output, as in " + path[0] + ".output." + path[1], true
	}
	return "", true
}

func (s *stepScope) isBefore(other, step string) bool {
	if slices.Contains(s.flow[step].DependsOn, other) {
		return true
	}
	if s.before == nil {
		s.closure()
	}
	return s.before[step] == nil || s.before[step].Bit(s.index[other]) == 1 // unknown in a cycle
}

func (s *stepScope) closure() {
	order, _ := sortSteps(s.flow)
	s.before, s.index = make(map[string]*big.Int, len(order)), make(map[string]int, len(order))
	for i, name := range order {
		s.index[name] = i
		set := new(big.Int)
		for dependency := range dependencies(s.flow, name) {
			set.Or(set, s.before[dependency]).SetBit(set, s.index[dependency], 1)
		}
		s.before[name] = set
	}
}
