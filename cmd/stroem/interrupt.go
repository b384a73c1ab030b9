package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interrupts are the signals that end a run.
type interrupts struct {
	first context.Context //nolint:containedctx // ends with the first signal
	abort context.Context //nolint:containedctx // ends with close

	signals chan os.Signal
	pipe    chan os.Signal
	cancel  []context.CancelFunc
	done    chan struct{}
}

// watchInterrupts ends the context first with ctx, or when the first signal comes, and says so. With the second one it calls
// hard. A closed terminal is a signal, too. A reader of the output that goes away is not: writing fails then.
func watchInterrupts(ctx context.Context, messages *progress, hard func()) *interrupts {
	i := &interrupts{signals: make(chan os.Signal, 2), pipe: make(chan os.Signal, 1), done: make(chan struct{})}
	first, stopFirst := context.WithCancel(ctx)
	abort, stopAbort := context.WithCancel(context.WithoutCancel(ctx))
	i.first, i.abort, i.cancel = first, abort, []context.CancelFunc{stopFirst, stopAbort}
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
			if n > 1 {
				hard()
				return
			}
			stopFirst()
			messages.line("Cancelling; once more ends it at once")
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
	for _, cancel := range i.cancel {
		cancel()
	}
}
