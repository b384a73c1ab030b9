package plugintest

import (
	"context"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// Instance is a running plugin at the other end of a connection.
type Instance struct {
	*grpc.ClientConn
	process *process // nil: it is in this process
}

// Opener makes a new instance of a plugin, not yet configured, that ends with the test.
type Opener func(t TB) *Instance

// InProcess makes instances in this process. They are reached over gRPC all the same. What needs a process that can die, or
// a log of its own, is no part of the suites then: run them on a [Binary] too.
func InProcess[P pluginapi.Plugin](newPlugin func() P) Opener {
	return func(t TB) *Instance {
		t.Helper()
		instance := newPlugin()
		server, err := pluginapi.NewServer(instance)
		if err != nil {
			t.Fatalf("serve plugin: %v", err)
		}
		listener := bufconn.Listen(1 << 20)
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		opts := append(hostapi.DialOptions(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		conn, err := grpc.NewClient("passthrough:///plugin", opts...)
		if err != nil {
			t.Fatalf("connect to plugin: %v", err)
		}
		t.Cleanup(func() {
			_ = conn.Close()
			server.GracefulStop() // returns when the last run has
			if err := <-served; err != nil {
				t.Errorf("serve plugin: %v", err)
			}
			if closer, ok := any(instance).(io.Closer); ok {
				if err := closer.Close(); err != nil {
					t.Errorf("close plugin: %v", err)
				}
			}
		})
		return &Instance{ClientConn: conn}
	}
}

// Binary starts the executable for each instance, as a host does: in a process group of its own, over mutual TLS, with few
// variables in its environment, and with its standard error as its log.
func Binary(path string, args ...string) Opener {
	return func(t TB) *Instance {
		t.Helper()
		p, conn, err := launch(&command{Path: path, Args: args})
		if err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(func() {
			p.end()
			if log := p.logged(); log != "" && t.Failed() {
				t.Logf("log of the plugin:\n%s", log)
			}
		})
		return &Instance{ClientConn: conn, process: p}
	}
}
