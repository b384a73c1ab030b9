// Command bench measures Strøm beside baselines taken in the same run, and writes results.json and results.md. P1 to P9 need a
// PostgreSQL (STROEM_TEST_DATABASE_URL; `make bench` starts one) with pgbench.
//
//	B1  one `true` through host and shell plugin         beside os/exec
//	B2  the same, four at a time
//	B3  100 MB of output through host and shell plugin   beside os/exec
//	P1  trigger to completed, one step, idle system      beside a bare spawn with the same pauses
//	P2  a chain of 50 steps                              beside 50 spawns in a row
//	P3  1,000 jobs of one step                           beside xargs -P4
//	P4  10,000 jobs of one step on a runner that does nothing   beside pgbench's simple update
//	P5  fan-out of 1,000 and 10,000 steps in one job     beside P4
//	P7  a step that prints 1,000,000 lines               beside cat into a file
//	P8  500 viewers of that step                         beside one
//	P9  memory and processor time of an idle system
//	A1  requests of a user                               beside those to a server without users
//	C1  one `true` in a container                        beside docker run; not without a Docker engine
//	C2  one `true` in a pod                              beside a bare pod; not without a cluster
//	W1  200 workspaces polled while nothing changes
//	W2  a workspace of 10,000 files and 200 MB           beside cp and a step of a small workspace
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the programs")
	out := flag.String("out", "bench", "directory of the results")
	only := flag.String("only", "", "comma-separated: B1,P1,… (default: all)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *bin, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, out, only string) error {
	wanted := func(names string) bool {
		return only == "" || slices.ContainsFunc(strings.Split(names, ","), func(name string) bool {
			return slices.Contains(strings.Split(only, ","), name)
		})
	}
	r := &report{}
	if err := measure(ctx, r, wanted, func() (*boundary, func(), error) {
		b, err := newBoundary(ctx, bin, "runner-shell", nil)
		return b, func() { _ = b.close(ctx) }, err // it has been measured
	}, []measurement[*boundary]{{"B1,B2", short}, {"B3", large}}); err != nil {
		return err
	}
	if err := measure(ctx, r, wanted, func() (*system, func(), error) {
		s, err := newSystem(ctx, bin, nil)
		return s, s.close, err
	}, []measurement[*system]{{"P9", idle}, {"A1", authenticated}, {"P1", single}, {"P2", chain}, {"P3", many}, {"P4", noop}, {"P5", fan}, {"P7", million}, {"P8", viewers}}); err != nil {
		return err
	}
	if err := measure(ctx, r, wanted, func() (*system, func(), error) {
		s, err := newSystem(ctx, bin, writeFleet)
		return s, s.close, err
	}, []measurement[*system]{{"W1", polling}}); err != nil {
		return err
	}
	if err := measure(ctx, r, wanted, func() (*system, func(), error) {
		s, err := newSystem(ctx, bin, writeLarge)
		return s, s.close, err
	}, []measurement[*system]{{"W2", largeWorkspace}}); err != nil {
		return err
	}
	for name, run := range map[string]func(context.Context, string, *report) error{"C1": inDocker, "C2": inPods} {
		if only == "" || !wanted(name) { // an engine is there for who asks for them
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", name, "…")
		if err := run(ctx, bin, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return r.write(out)
}

// measurement adds results of the given names, separated by commas, to a report.
type measurement[T any] struct {
	names string
	run   func(context.Context, T, *report) error
}

// measure takes the wanted measurements on something that is made for them, if there are any.
func measure[T any](ctx context.Context, r *report, wanted func(names string) bool, start func() (T, func(), error), all []measurement[T]) error {
	all = slices.DeleteFunc(all, func(m measurement[T]) bool { return !wanted(m.names) })
	if len(all) == 0 {
		return nil
	}
	subject, end, err := start()
	if err != nil {
		return err
	}
	defer end()
	for _, m := range all {
		fmt.Fprintln(os.Stderr, "measuring", m.names, "…")
		if err := m.run(ctx, subject, r); err != nil {
			return fmt.Errorf("%s: %w", m.names, err)
		}
	}
	return nil
}
