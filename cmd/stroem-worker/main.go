// Command stroem-worker claims steps from a Strøm server and runs them.
//
// It ends with 0 after SIGTERM or an interrupt, once its steps have ended or were stopped; a second signal stops them at
// once. It ends with 1 when it cannot work, also because a newer worker has taken its name, and with 2 when it was
// called in a wrong way.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/version"
	"github.com/stroem/stroem/core/worker"
)

func main() {
	var path string
	flag.StringVar(&path, "config", os.Getenv("STROEM_CONFIG"), "configuration `file` (STROEM_CONFIG; default worker-config.yaml)")
	flag.StringVar(&path, "c", os.Getenv("STROEM_CONFIG"), "short for --config `file`")
	showVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "stroem-worker: %q is not understood: there are only flags\n", flag.Arg(0))
		os.Exit(2)
	}
	if *showVersion {
		fmt.Printf("stroem-worker %s (%s, %s)\n", version.Version, version.Commit, version.Date)
		return
	}
	if err := run(path); err != nil {
		fmt.Fprintln(os.Stderr, "stroem-worker:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	c, err := config.LoadWorker(path, os.Environ())
	if err != nil {
		return err
	}
	drain, stopDrain := context.WithCancel(context.Background())
	defer stopDrain()
	abort, stopAbort := context.WithCancel(context.Background())
	defer stopAbort()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stopDrain()
		<-signals
		stopAbort()
	}()
	return worker.Serve(drain, abort, c, c.Log.Logger(os.Stderr))
}
