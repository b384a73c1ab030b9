package plugintest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Status is how a case ended.
type Status string

// How cases end.
const (
	Passed     Status = "passed"
	Failed     Status = "failed"
	NotCovered Status = "not covered"
)

// Outcome is how a case ended, and why.
type Outcome struct {
	Case     string
	Rule     Rule
	Status   Status
	Failures []Failure     // of a case that failed, at least one
	Needs    string        // of a case that is not covered: what to add
	Took     time.Duration // 0 for a case that is not covered
	Log      []string      // what the case said besides, such as the log of the plugin
}

// Failure is a rule that was found broken, and how.
type Failure struct {
	Rule    Rule
	Message string
}

// CheckOptions are how [Check] works.
type CheckOptions struct {
	Parallel int           // cases at a time; 0 is two for each processor
	Limit    time.Duration // for a case; 0 is three minutes
	Report   func(Outcome) // told of each case as it ends, one after the other; may be nil
}

// Check runs cases without the go tool, and returns how they ended, in their order. The cases are made by a function, which
// may start the plugin for that; an error means that it could not make them, or that ctx ended. Either way nothing that was
// started is left.
func Check(ctx context.Context, cases func(t TB) []Case, opts CheckOptions) ([]Outcome, error) {
	if opts.Parallel <= 0 {
		opts.Parallel = 2 * runtime.NumCPU()
	}
	if opts.Limit <= 0 {
		opts.Limit = 3 * time.Minute
	}
	list, err := perform(ctx, opts.Limit, cases)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(list))
	slots := make(chan struct{}, opts.Parallel)
	var reporting sync.Mutex
	var wg sync.WaitGroup
	for i, c := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			outcomes[i] = c.check(ctx, opts.Limit)
			if opts.Report != nil && ctx.Err() == nil {
				reporting.Lock()
				defer reporting.Unlock()
				opts.Report(outcomes[i])
			}
		})
	}
	wg.Wait()
	return outcomes, ctx.Err()
}

// check runs one case.
func (c Case) check(ctx context.Context, limit time.Duration) Outcome {
	o := Outcome{Case: c.Name, Rule: c.Rule, Status: NotCovered, Needs: c.Needs}
	if c.Needs != "" || ctx.Err() != nil {
		return o
	}
	begin := time.Now()
	s := newSession(ctx, limit, c.Rule)
	s.run(c.Run)
	o.Took, o.Status = time.Since(begin), Passed
	var failed bool
	if o.Failures, o.Log, failed = s.result(); failed {
		o.Status = Failed
	}
	return o
}

// perform does what f says with a TB, and returns its result, or its failures as an error.
func perform[V any](ctx context.Context, limit time.Duration, f func(t TB) V) (result V, err error) {
	s := newSession(ctx, limit, Rule{})
	s.run(func(t TB) { result = f(t) })
	if err := ctx.Err(); err != nil {
		return result, err
	}
	failures, _, failed := s.result()
	if !failed {
		return result, nil
	}
	messages := make([]string, len(failures))
	for i, failure := range failures {
		messages[i] = failure.Message
		if failure.Rule.ID != "" {
			messages[i] = fmt.Sprintf("%s (%s: %s)", failure.Message, failure.Rule.ID, failure.Rule.Text)
		}
	}
	return result, errors.New(strings.Join(messages, "; "))
}
