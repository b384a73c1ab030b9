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
	var given settings
	if err := engine.Link(func(name string, number int) error {
		given.Bridge = name
		return makeBridge(ctx, name, number)
	}); err != nil {
		return 1, err
	}
	if err := engine.Serve(ctx, given); err != nil {
		return 1, fmt.Errorf("start a Docker engine: %w", err)
	}
	return alongside.Run(ctx, args, engines.DockerHost+"=unix://"+socket(engine.Dir))
}

// makeBridge makes the network of containers, which reach this machine at the address of the bridge.
func makeBridge(ctx context.Context, name string, number int) error {
	for _, args := range [][]string{
		{"link", "add", name, "type", "bridge"},
		{"address", "add", fmt.Sprintf("10.233.%d.1/24", number), "dev", name},
		{"link", "set", name, "up"},
	} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}
