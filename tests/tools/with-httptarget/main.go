// Command with-httptarget runs a command beside the server of package httptarget.
//
//	with-httptarget COMMAND [ARGUMENT …]
//
// The server's address is in HTTPTARGET_URL, and HTTPTARGET_CASES names a file with specs for it, as
// `stroem plugin check --cases` reads them. The server ends with the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/stroem/stroem/tests/httptarget"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: with-httptarget COMMAND [ARGUMENT …]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-httptarget:", err)
		code = 1
	}
	os.Exit(code)
}

func run(command []string) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	server := httptest.NewServer(httptarget.Handler())
	defer server.Close()
	dir, err := os.MkdirTemp("", "stroem-test-")
	if err != nil {
		return 1, fmt.Errorf("create a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cases := filepath.Join(dir, "cases.json")
	if err := os.WriteFile(cases, httptarget.Cases(server.URL), 0o600); err != nil {
		return 1, fmt.Errorf("write the cases: %w", err)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HTTPTARGET_URL="+server.URL, "HTTPTARGET_CASES="+cases)
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}
