// Command stroem is the command line of Strøm: it validates workspaces, runs and watches tasks on a server, runs
// tasks without one, and with `stroem dev` runs a whole Strøm on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

// Exit codes, stable for scripts.
const (
	exitDone      = 0 // done; the job that was waited for completed
	exitFailed    = 1 // an error, or the job that was waited for failed
	exitUsage     = 2 // wrong flags or arguments
	exitTimedOut  = 3 // --timeout passed before the job ended
	exitCancelled = 4 // the job that was waited for was cancelled
)

// exitError ends the program with a code; its message, if any, is printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() {
	plugintest.Init() // `stroem plugin check` starts this program as a host that it kills
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot() //nolint:contextcheck // commands get the context with ExecuteContext
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	code := exitFailed
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	} else if strings.HasPrefix(err.Error(), "unknown command") { // cobra has no type for it
		code = exitUsage
	}
	if text := err.Error(); text != "" {
		_, _ = fmt.Fprintln(os.Stderr, "Error: "+text)
	}
	return code
}
