// Command bench measures Strøm beside baselines taken in the same run, and writes results.json and results.md. It needs a
// PostgreSQL (STROEM_TEST_DATABASE_URL; `make bench` starts one) with pgbench.
//
//	P1  trigger to completed, one step, idle system      beside a bare spawn with the same pauses
//	P2  a chain of 50 steps                              beside 50 spawns in a row
//	P3  1,000 jobs of one step                           beside xargs -P4
//	P4  10,000 jobs of one step on a runner that does nothing   beside pgbench's simple update
//	P5  fan-out of 1,000 and 10,000 steps in one job     beside P4
//	P9  memory and processor time of an idle system
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the programs")
	out := flag.String("out", "bench", "directory of the results")
	only := flag.String("only", "", "comma-separated: P1,P2,… (default: all)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *bin, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, out, only string) error {
	s, err := newSystem(ctx, bin)
	if err != nil {
		return err
	}
	defer s.close()
	r := &report{}
	for _, m := range []struct {
		name string
		run  func(context.Context, *system, *report) error
	}{{"P9", idle}, {"P1", single}, {"P2", chain}, {"P3", many}, {"P4", noop}, {"P5", fan}} {
		if only != "" && !strings.Contains(","+only+",", ","+m.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", m.name, "…")
		if err := m.run(ctx, s, r); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return r.write(out)
}
