// Command stroem-server is the server of Strøm: it keeps jobs, hands their steps to workers and serves the API.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/server"
	"github.com/stroem/stroem/core/version"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "stroem-server:", err)
		os.Exit(1)
	}
}

func run() error {
	var path string
	flag.StringVar(&path, "config", os.Getenv("STROEM_CONFIG"), "configuration file (STROEM_CONFIG; default server-config.yaml)")
	flag.StringVar(&path, "c", os.Getenv("STROEM_CONFIG"), "short for -config")
	showVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *showVersion {
		fmt.Println("stroem-server", version.Version)
		return nil
	}
	c, err := config.LoadServer(path, os.Environ())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return server.New(c, c.Log.Logger(os.Stderr)).Run(ctx)
}
