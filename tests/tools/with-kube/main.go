//go:build linux

// Command with-kube runs a command with a Kubernetes of one node of its own, of the programs that scripts/build-kube builds.
//
//	with-kube [--programs DIRECTORY] COMMAND [ARGUMENT …]
//
// STROEM_TEST_KUBECONFIG leads to it, STROEM_TEST_KUBE_HOST_ADDRESS is the address at which its pods reach servers of this
// machine. It ends with the command, whatever happens, and nothing of it is left. If the former is set already, the command
// runs with that cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stroem/stroem/tests/enclosure"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/tools/internal/alongside"
)

func main() {
	enclosure.Inside(serve)
	programs := flag.String("programs", ".bin/kube", "the directory of the programs")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: with-kube [--programs DIRECTORY] COMMAND [ARGUMENT …]")
		os.Exit(2)
	}
	alongside.Main("with-kube", func(ctx context.Context) (int, error) { return run(ctx, *programs, flag.Args()) })
}

func run(ctx context.Context, programs string, args []string) (code int, err error) {
	if os.Getenv(engines.Kubeconfig) != "" {
		return alongside.Run(ctx, args)
	}
	programs, err = filepath.Abs(programs)
	if err != nil {
		return 1, err
	}
	cluster, err := enclosure.Start(enclosure.Options{Name: "kube", Network: true})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	// This machine is one more host among the pods.
	link, number, err := cluster.Link(func(name string) error {
		return ip(ctx, []string{"link", "add", name, "type", "veth", "peer", "name", machineLink, "netns", cluster.PID()})
	})
	if err != nil {
		return 1, err
	}
	given := settings{Programs: programs, Number: number}
	if err := ip(ctx,
		[]string{"address", "add", given.address(hostNumber) + "/24", "dev", link},
		[]string{"link", "set", link, "up"},
	); err != nil {
		return 1, err
	}
	if err := cluster.Serve(ctx, given); err != nil {
		return 1, fmt.Errorf("start a Kubernetes: %w", err)
	}
	return alongside.Run(ctx, args,
		engines.Kubeconfig+"="+kubeconfig(cluster.Dir), engines.KubeHostAddress+"="+given.address(hostNumber))
}

// ip changes the network by one command after the other.
func ip(ctx context.Context, commands ...[]string) error {
	for _, args := range commands {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}
