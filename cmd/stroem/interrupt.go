package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/stroem/stroem/core/worker"
)

// interrupts are the signals that end a run.
type interrupts struct {
	first context.Context //nolint:containedctx // ends with the first signal
	abort context.Context //nolint:containedctx // ends with the second, and has the steps killed

	signals chan os.Signal
	pipe    chan os.Signal
	end     func()
	done    chan struct{}
}

// watchInterrupts ends the context first with ctx, or when the first signal comes, and says so, and abort with the second.
// With the third it calls exit, which does not return. A closed terminal is a signal, too. A reader of the output that goes
// away is not: writing fails then.
func watchInterrupts(ctx context.Context, messages *progress, exit func()) *interrupts {
	i := &interrupts{signals: make(chan os.Signal, 3), pipe: make(chan os.Signal, 1), done: make(chan struct{})}
	first, stopFirst := context.WithCancel(ctx)
	abort, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	i.first, i.abort = first, abort
	i.end = func() {
		stopFirst()
		kill(nil)
	}
	signal.Notify(i.pipe, syscall.SIGPIPE) // and never read
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(i.signals, syscall.SIGHUP)
	}
	go func() {
		defer close(i.done)
		for n := 1; ; n++ {
			if _, open := <-i.signals; !open {
				return
			}
			switch n {
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
	}()
	return i
}

// close lets signals be again.
func (i *interrupts) close() {
	signal.Stop(i.signals)
	signal.Stop(i.pipe)
	close(i.signals)
	<-i.done
	i.end()
}
