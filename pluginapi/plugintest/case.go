package plugintest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// Case looks at one rule on a plugin. It may find others broken on the way, and names those then.
type Case struct {
	Name string
	Rule Rule
	// Needs says what has to be added so that the case can run, such as an example; "" when it can.
	Needs string
	// Run runs the case. It is nil where Needs is set.
	Run func(t TB)
}

// newCase returns a case whose failures name the rule.
func newCase(name string, rule Rule, f func(t TB)) Case {
	return Case{Name: name, Rule: rule, Run: func(t TB) { f(under(t, rule)) }}
}

// unless returns the case, as not covered when there is something that it needs.
func (c Case) unless(needs ...string) Case {
	for _, need := range needs {
		if need != "" && c.Needs == "" {
			c.Needs, c.Run = need, nil
		}
	}
	return c
}

// run runs the cases as parallel tests; one that is not covered is skipped with the reason.
func run[S Test[S]](t S, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t S) {
			if c.Needs != "" {
				t.Skipf("not covered: %s: it needs %s", c.Rule.ID, c.Needs)
			}
			t.Parallel()
			c.Run(t)
		})
	}
}

// patience is how long anything may take that has no limit of its own.
const patience = 30 * time.Second

func within(t TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// wait waits for something that should happen soon.
func wait[V any](t TB, what string, ch <-chan V, limit time.Duration) V {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("%s did not happen within %v", what, limit)
	case <-t.Context().Done():
		t.Fatalf("given up before %s: %v", what, context.Cause(t.Context()))
	}
	return *new(V) // not reached
}

// eventually looks at a condition of which nothing tells, until it holds; false if it does not within the limit.
func eventually(t TB, limit time.Duration, condition func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return condition()
		case <-t.Context().Done():
			return false
		}
	}
	return true
}

// wantCode checks the code of an error.
func wantCode(t TB, what string, err error, want pluginapi.Code) {
	t.Helper()
	if got := pluginapi.CodeOf(err); got != want {
		t.Errorf("%s: got code %q (%v), want %q", what, got, err, want)
	}
}

// wantOK stops the test at an error.
func wantOK(t TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func orEmpty(settings json.RawMessage) json.RawMessage {
	if len(settings) == 0 {
		return json.RawMessage("{}")
	}
	return settings
}
