package hostapi

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// ClientConfig returns what go-plugin needs to start cmd as a plugin. The plugin sees cmd.Env and nothing of the host's
// own environment; [Environ] and [Env] are for that. The caller may set Logger, SecureConfig, Stderr and the like.
//
// A config, and the command in it, is good for one start only. See the caveats of go-plugin: Kill blocks for ever on a
// plugin that hangs, and a plugin has really started only when it has answered Describe.
func ClientConfig(cmd *exec.Cmd) *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{wire.Version: {"plugin": goPlugin{}}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     15 * time.Second,
		GRPCDialOptions:  DialOptions(),
	}
}

// maxHeader is how much may accompany a message, the text and the details of an error among it.
const maxHeader = 1 << 20

// DialOptions are the options that a connection to a plugin needs: its messages are limited to 16 MiB, its errors to 1 MiB.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage),
			grpc.ForceCodecV2(wire.Codec())),
	}
}

// Connect starts the plugin, if that has not happened yet, and returns the connection to it. Errors are those of the
// start: not executable, not a plugin, wrong protocol version, wrong checksum, no answer in time.
func Connect(client *plugin.Client) (*grpc.ClientConn, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, fmt.Errorf("start plugin: %w", err)
	}
	g, ok := protocol.(*plugin.GRPCClient)
	if !ok {
		return nil, fmt.Errorf("start plugin: it speaks %T instead of gRPC", protocol)
	}
	return g.Conn, nil
}

// goPlugin makes go-plugin agree on the protocol's version; the services are reached over the connection itself.
type goPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (goPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is the host's end")
}

func (goPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
