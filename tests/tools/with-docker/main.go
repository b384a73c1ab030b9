//go:build linux

// Command with-docker runs a command with a Docker engine of its own.
//
//	with-docker COMMAND [ARGUMENT …]
//
// The engine's address is in STROEM_TEST_DOCKER_HOST. It ends with the command, whatever happens, and nothing of it is
// left. If the variable is set already, the command runs with that engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/stroem/stroem/tests/enclosure"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/tools/internal/alongside"
)

func main() {
	enclosure.Inside(serve)
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: with-docker COMMAND [ARGUMENT …]")
		os.Exit(2)
	}
	alongside.Main("with-docker", func(ctx context.Context) (int, error) { return run(ctx, os.Args[1:]) })
}

func run(ctx context.Context, args []string) (code int, err error) {
	if os.Getenv(engines.DockerHost) != "" {
		return alongside.Run(ctx, args)
	}
	engine, err := enclosure.Start(enclosure.Options{Name: "docker"})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, engine.Stop()) }()
	// Containers reach this machine at the address of the bridge.
	bridge, number, err := engine.Link(func(name string) error { return ip(ctx, "link", "add", name, "type", "bridge") })
	if err != nil {
		return 1, err
	}
	if err := ip(ctx, "address", "add", fmt.Sprintf("10.233.%d.1/24", number), "dev", bridge); err != nil {
		return 1, err
	}
	if err := ip(ctx, "link", "set", bridge, "up"); err != nil {
		return 1, err
	}
	if err := engine.Serve(ctx, settings{Bridge: bridge}); err != nil {
		return 1, fmt.Errorf("start a Docker engine: %w", err)
	}
	return alongside.Run(ctx, args, engines.DockerHost+"=unix://"+socket(engine.Dir))
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}
