//go:build unix

// Brokenrunner is a runner that breaks the rules that its arguments are about, and heeds all others. It shows that the
// conformance suite can fail, and at what.
//
// With the first argument "check" it is the suite instead: it runs that on itself with the other arguments, and prints
// the outcomes as JSON. It is compiled without the race detector, under which all this takes minutes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/wire"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func main() {
	plugintest.Init()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) > 1 && args[0] == stepArg {
		stepMain(args[1], args[2:])
		return nil
	}
	if len(args) > 0 && args[0] == "check" {
		return check(args[1:])
	}
	f, err := broken(args)
	if err != nil {
		return err
	}
	return serve(newRunner(f))
}

// check runs the suite on this program with the given arguments.
func check(args []string) error {
	opts := plugintest.RunnerOptions{BadConfig: []byte(`{"x": 1}`), StopGrace: 2 * time.Second}
	outcomes, err := plugintest.Check(context.Background(), func(t plugintest.TB) []plugintest.Case {
		return plugintest.RunnerCases(t, plugintest.Binary(os.Args[0], args...), opts)
	}, plugintest.CheckOptions{Parallel: 20})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(outcomes)
}

// serve does what pluginapi.Serve does, but for what is to be broken on the wire.
func serve(r *runner) error {
	if !r.outlivesHost {
		go watchParent(os.Getppid())
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	var failure error
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  wire.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{wire.Version: {"plugin": none{}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			server, err := pluginapi.NewServer(r, append(opts, r.interceptors()...)...)
			failure = err
			return server
		},
		Logger: hclog.NewNullLogger(),
	})
	return failure
}

// watchParent ends the process when the host has gone.
func watchParent(parent int) {
	for range time.Tick(100 * time.Millisecond) {
		if os.Getppid() != parent {
			os.Exit(1)
		}
	}
}

// none satisfies go-plugin: the services are part of the server already.
type none struct{ plugin.NetRPCUnsupportedPlugin }

func (none) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (none) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's end")
}
