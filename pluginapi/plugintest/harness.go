package plugintest

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// TB is what the suites need of a [testing.T].
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	TempDir() string
	Cleanup(f func())
	Context() context.Context
}

// Opener makes a new instance of a plugin, not yet configured, that ends with the test, and returns the connection to it.
type Opener func(t TB) *grpc.ClientConn

// InProcess makes instances in this process. They are reached over gRPC all the same.
func InProcess[P pluginapi.Plugin](newPlugin func() P) Opener {
	return func(t TB) *grpc.ClientConn {
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
		return conn
	}
}

// Binary starts the executable for each instance, as a host does, with PATH, HOME and TMPDIR in its environment.
func Binary(path string, args ...string) Opener {
	return func(t TB) *grpc.ClientConn {
		t.Helper()
		cmd := exec.Command(path, args...) //nolint:noctx // the test names the program; go-plugin ends it
		for _, name := range []string{"PATH", "HOME", "TMPDIR", "SYSTEMROOT"} {
			if value, ok := os.LookupEnv(name); ok {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
		cfg := hostapi.ClientConfig(cmd)
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
		client := plugin.NewClient(cfg)
		t.Cleanup(func() {
			hung := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			client.Kill()
			hung.Stop()
		})
		conn, err := hostapi.Connect(client)
		if err != nil {
			t.Fatalf("start %s: %v", path, err)
		}
		return conn
	}
}

// Build compiles the main package (a path as for go build) into the directory dir and returns the path of the executable.
func Build(ctx context.Context, dir, pkg string) (string, error) {
	path := filepath.Join(dir, "plugin")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{output: string(out), err: err}
	}
	return path, nil
}

type buildError struct {
	output string
	err    error
}

func (e *buildError) Error() string { return "build plugin: " + e.err.Error() + "\n" + e.output }
func (e *buildError) Unwrap() error { return e.err }
