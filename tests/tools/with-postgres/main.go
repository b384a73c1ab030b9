// Command with-postgres runs a command with a PostgreSQL server of its own.
//
//	with-postgres [--durable] COMMAND [ARGUMENT …]
//
// The server's address is in STROEM_TEST_DATABASE_URL. It ends with the command, whatever happens. If the variable is
// set already, the command runs with that server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pgserver"
)

func main() {
	durable := flag.Bool("durable", false, "keep fsync on")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: with-postgres [--durable] COMMAND [ARGUMENT …]")
		os.Exit(2)
	}
	code, err := run(*durable, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-postgres:", err)
		code = 1
	}
	os.Exit(code)
}

func run(durable bool, command []string) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	address := os.Getenv(coretest.DatabaseURL)
	if address == "" {
		dir, err := os.MkdirTemp("", "stroem-test-")
		if err != nil {
			return 1, fmt.Errorf("create a directory: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		settings := map[string]string{"max_connections": "300", "shared_buffers": "256MB"}
		if !durable {
			settings["fsync"], settings["full_page_writes"] = "off", "off"
		}
		server, err := pgserver.Start(ctx, pgserver.Options{Dir: dir, Settings: settings})
		if err != nil {
			return 1, err
		}
		defer server.Stop()
		address = server.URL()
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // told to end by a signal, gently
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), coretest.DatabaseURL+"="+address)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start %s: %w", command[0], err)
	}
	go func() {
		<-ctx.Done()
		_ = cmd.Process.Signal(syscall.SIGTERM) // after its end this does nothing
	}()
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}
