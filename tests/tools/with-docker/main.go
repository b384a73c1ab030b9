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

	"github.com/stroem/stroem/tests/dockerd"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/tools/internal/alongside"
)

func main() {
	dockerd.Inside()
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
	engine, err := dockerd.Start(ctx, dockerd.Options{})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, engine.Stop()) }()
	return alongside.Run(ctx, args, engines.DockerHost+"="+engine.Host())
}
