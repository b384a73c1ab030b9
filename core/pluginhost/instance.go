package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// instance is one process of a plugin and the connection to it. There is a new one for each start, because nothing of
// go-plugin can be used twice.
type instance struct {
	*process
	label  string
	client *plugin.Client
	conn   *grpc.ClientConn
	calls  *calls
}

func (i *instance) plugin() *hostapi.Plugin     { return hostapi.NewPlugin(i.conn, i.label) }
func (i *instance) runner() *hostapi.Runner     { return hostapi.NewRunner(i.conn, i.label) }
func (i *instance) source() *hostapi.Source     { return hostapi.NewSource(i.conn, i.label) }
func (i *instance) logStore() *hostapi.LogStore { return hostapi.NewLogStore(i.conn, i.label) }

// launch starts the plugin and returns it with its description. It gives up after limits.Start.
func launch(ctx context.Context, c *candidate, limits Limits, log *slog.Logger) (*instance, *pluginapi.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Start)
	defer cancel()
	i := newInstance(c, limits, log)       //nolint:contextcheck // its log outlives the start
	defer context.AfterFunc(ctx, i.kill)() // unblocks go-plugin, which knows no context
	description, err := i.connect(ctx)
	if err == nil {
		return i, description, nil
	}
	i.stop(0)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not start within %v", limits.Start)
	}
	return nil, nil, err
}

func newInstance(c *candidate, limits Limits, log *slog.Logger) *instance {
	env := environment(os.Environ(), c.Env, levelOf(log))
	i := &instance{process: newProcess(c.binary.path(), c.Args, env), label: c.label(), calls: newCalls()}
	limit := newLogLimit()
	cfg := hostapi.ClientConfig(nil)
	cfg.RunnerFunc = func(_ hclog.Logger, handshake *exec.Cmd, _ string) (runner.Runner, error) {
		i.cmd.Env = append(i.cmd.Env, handshake.Env...)
		return i.process, nil
	}
	cfg.StartTimeout = limits.Start
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard})
	cfg.Stderr = &logWriter{log: log, level: slog.LevelInfo, limit: limit}
	cfg.SyncStderr = &logWriter{log: log, level: slog.LevelInfo, limit: limit}
	cfg.SyncStdout = &logWriter{log: log, level: slog.LevelInfo, limit: limit}
	cfg.GRPCDialOptions = append(cfg.GRPCDialOptions, grpc.WithChainStreamInterceptor(refuseBroker, tolerateStdio))
	i.client = plugin.NewClient(cfg)
	return i
}

func (i *instance) connect(ctx context.Context) (*pluginapi.Description, error) {
	var err error
	if i.conn, err = hostapi.Connect(i.client); err != nil {
		return nil, errors.New(oneLine(err))
	}
	description, err := i.plugin().Describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask what it is: %w", err)
	}
	return description, nil
}

// refuseBroker keeps go-plugin from opening the stream through which a plugin could offer more connections: nothing of ours
// uses it, and go-plugin starts a goroutine for each message that comes through it.
func refuseBroker(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if method == "/plugin.GRPCBroker/StartStream" {
		return nil, status.Error(codes.Unimplemented, "this host has no broker")
	}
	return streamer(ctx, desc, conn, method, opts...)
}

// tolerateStdio hides that the stream for what a plugin prints could not be opened, because go-plugin would then forget
// the connection without closing it. Describe fails next.
func tolerateStdio(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, conn, method, opts...)
	if err != nil && method == "/plugin.GRPCStdio/StreamStdio" {
		err = status.Error(codes.Unavailable, err.Error())
	}
	return stream, err
}

// stop ends the process, politely if it has time to exit, and releases what belongs to it.
func (i *instance) stop(exit time.Duration) {
	timer := time.AfterFunc(exit, i.kill)
	defer timer.Stop()
	if exit == 0 {
		i.kill()
	}
	i.client.Kill()
}
