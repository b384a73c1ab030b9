// Command stroem-worker claims steps from a Strøm server and runs them.
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
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "stroem-worker:", err)
		os.Exit(1)
	}
}

func run() error {
	var path string
	flag.StringVar(&path, "config", os.Getenv("STROEM_CONFIG"), "configuration file (STROEM_CONFIG; default worker-config.yaml)")
	flag.StringVar(&path, "c", os.Getenv("STROEM_CONFIG"), "short for -config")
	showVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *showVersion {
		fmt.Println("stroem-worker", version.Version)
		return nil
	}
	c, err := config.LoadWorker(path, os.Environ())
	if err != nil {
		return err
	}
	// The first signal drains, the second stops at once.
	drain, stopDrain := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stopDrain()
	abort, stopAbort := context.WithCancel(context.Background())
	defer stopAbort()
	go func() {
		<-drain.Done()
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		select {
		case <-again:
			stopAbort()
		case <-abort.Done():
		}
	}()
	return worker.Serve(drain, abort, c, c.Log.Logger(os.Stderr))
}
