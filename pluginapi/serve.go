package pluginapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// ServeOption changes how [Serve] works.
type ServeOption func(*serveConfig)

type serveConfig struct{ exitTimeout time.Duration }

// WithExitTimeout limits how long Serve waits, once the host is gone, for runs to end and for Close. The default is five
// seconds.
func WithExitTimeout(d time.Duration) ServeOption {
	return func(c *serveConfig) { c.exitTimeout = d }
}

// Serve is the main function of a plugin: it serves p, which implements exactly one of [Runner], [Source] and
// [LogStore], until the host ends it or goes away. Then it cancels what is under way with [ErrHostGone], waits for that to end, and calls
// p.Close if p is an [io.Closer]. It exits the process on failure, and when it was started by anything but a host. What it
// leaves in its own process group is killed; what has put itself into a session or a group of its own is not.
//
// Interrupts and termination signals are ignored: they reach a plugin because its terminal or its service is being
// stopped, and then the host decides what becomes of the work under way.
func Serve(p Plugin, opts ...ServeOption) {
	parent := watchParent()
	s, err := newServer(p)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	handshake := wire.Handshake()
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		fmt.Fprintln(os.Stderr, s.introduction())
		os.Exit(2)
	}
	cfg := serveConfig{exitTimeout: 5 * time.Second}
	for _, opt := range opts {
		opt(&cfg)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // and never read: nothing happens
	go func() {
		<-parent
		s.shutdown(cfg.exitTimeout)
		removeSockets(os.Getenv(plugin.EnvUnixSocketDir))
		killOwnGroup()
		os.Exit(1)
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: map[int]plugin.PluginSet{wire.Version: {"plugin": goPlugin{server: s}}},
		GRPCServer:       s.grpcServer,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	})
	s.shutdown(cfg.exitTimeout)
}

// removeSockets removes the directory that the host made for the plugin's sockets, as the host would have done. What is no
// socket stays, and the directory then, too.
func removeSockets(dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return // there is none
	}
	defer func() { _ = root.Close() }() // only read from
	entries, _ := fs.ReadDir(root.FS(), ".")
	for _, entry := range entries {
		if entry.Type() == os.ModeSocket {
			_ = root.Remove(entry.Name())
		}
	}
	_ = os.Remove(dir) //nolint:gosec // the host named it, and it goes only if it is empty
}

// goPlugin satisfies go-plugin, which wants to register services itself; ours are part of the server already.
type goPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server *server
}

func (goPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (goPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's end")
}

// shutdown ends the runs and closes the plugin, once; it gives up after the timeout.
func (s *server) shutdown(timeout time.Duration) {
	done := make(chan struct{})
	go func() { // abandoned on timeout: the process ends next
		defer close(done)
		s.closeOnce.Do(func() {
			s.runs.close()
			if closer, ok := s.plugin.(io.Closer); ok {
				_ = closer.Close() // there is nobody left to tell
			}
		})
	}()
	select {
	case <-done:
	case <-time.After(timeout):
	}
}

// introduction tells a person who started the plugin by hand what it is.
func (s *server) introduction() string {
	d, err := s.plugin.Describe(context.Background())
	if err != nil {
		return fmt.Sprintf("This is a %s plugin of Strøm that cannot describe itself: %v", s.kind, err)
	}
	version := d.Version
	if version == "" {
		version = buildVersion()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "This is the %s plugin %q of Strøm, version %s.\n", s.kind, d.Name, version)
	for _, t := range d.ActionTypes {
		fmt.Fprintf(&b, "It executes actions of type %s", t.Name)
		if t.Runner != "" {
			fmt.Fprintf(&b, " with runner %s", t.Runner)
		}
		fmt.Fprintf(&b, " and needs the worker tag %s.\n", t.Tag)
	}
	host := "stroem-server"
	if s.kind == KindRunner {
		host = "stroem-worker"
	}
	fmt.Fprintf(&b, "It does nothing by itself: put it into the plugin directory, and %s starts it.", host)
	return b.String()
}

// buildVersion is the version of the main module, for plugins that do not say theirs.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
