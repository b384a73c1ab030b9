package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/stroem/stroem/core/worker"
)

// watchInterrupts ends the context first with ctx, or when the first signal comes, and says so, and abort with the second.
// With the third it calls exit, which does not return. A closed terminal is a signal, too. A reader of the output that goes
// away is not: writing fails then. end lets signals be again.
func watchInterrupts(ctx context.Context, messages *progress, exit func()) (first, abort context.Context, end func()) {
	first, stopFirst := context.WithCancel(ctx)
	abort, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE) // and never read
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		n := 0
		for range signals {
			switch n++; n {
			case 1:
				messages.line("Cancelling; once more kills what runs")
				stopFirst()
			case 2:
				messages.line("Killing what runs")
				kill(worker.ErrKill)
			default:
				exit()
			}
		}
	})
	return first, abort, func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(signals)
		watching.Wait()
		stopFirst()
		kill(nil)
	}
}
