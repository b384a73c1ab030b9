//go:build unix

package pluginhost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that foreign messages stand beside
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// foreign is a plugin that writes its messages by hand, as one in another language might: it keeps to no limit of pluginapi.
// What it gets wrong is named by script.Foreign, or by the spec of a run.
type foreign struct{ actor }

// serve does go-plugin's handshake and answers all calls by itself.
func (f foreign) serve() {
	go func() { // pluginapi would do that
		for parent := os.Getppid(); os.Getppid() == parent; {
			<-time.After(time.Second)
		}
		os.Exit(1)
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "STROEM_PLUGIN", MagicCookieValue: "workflow"},
		VersionedPlugins: map[int]plugin.PluginSet{1: {"plugin": nothing{}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.ForceServerCodecV2(handCodec{encoding.GetCodecV2("proto")}),
				grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return f.handle(stream) }))...)
		},
	})
}

// nothing makes go-plugin speak gRPC.
type nothing struct{ plugin.NetRPCUnsupportedPlugin }

func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's end")
}

// message is a Protocol Buffers message as it is on the wire.
type message []byte

type handCodec struct{ encoding.CodecV2 }

func (c handCodec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(message); ok {
		return mem.BufferSlice{mem.SliceBuffer(m)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c handCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*message); ok {
		*m = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

func field(number protowire.Number, value []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func join(fields ...message) message { return bytes.Join(toBytes(fields), nil) }

func toBytes(fields []message) [][]byte {
	list := make([][]byte, len(fields))
	for i, field := range fields {
		list[i] = field
	}
	return list
}

func (f foreign) handle(stream grpc.ServerStream) error {
	var request message
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	method, _ := grpc.MethodFromServerStream(stream)
	switch filepath.Base(method) {
	case "Describe":
		return f.describe(stream)
	case "CheckHealth":
		return f.health(stream)
	case "Run":
		return f.run(stream, request)
	case "Validate":
		return status.Error(codes.Unimplemented, "nothing more to check")
	}
	return stream.SendMsg(message{})
}

func (f foreign) describe(stream grpc.ServerStream) error {
	answer := join(field(1, []byte("runner")), field(2, []byte(f.Name)), field(3, []byte("1")))
	kind := func(name string) message { return field(5, join(field(1, []byte(name)), field(3, []byte("test")))) }
	switch f.Foreign {
	case "huge description":
		return stream.SendMsg(join(answer, field(4, bytes.Repeat([]byte(" "), 17<<20)), kind("test")))
	case "large schemas":
		return stream.SendMsg(join(answer, field(4, append([]byte("{}"), bytes.Repeat([]byte(" "), 3<<20)...)), kind("test")))
	case "long version":
		return stream.SendMsg(join(answer, field(3, bytes.Repeat([]byte("1"), 1<<20)), kind("test")))
	case "strange version":
		return stream.SendMsg(join(answer, field(3, []byte("1\x002")), kind("test")))
	case "large schema":
		schema := append([]byte("{}"), bytes.Repeat([]byte(" "), 256<<10-1)...)
		return stream.SendMsg(join(answer, field(5, join(field(1, []byte("test")), field(3, []byte("test")), field(4, schema)))))
	case "many types":
		for i := range 20_000 {
			answer = append(answer, kind(fmt.Sprintf("type-%d", i))...)
		}
		return stream.SendMsg(answer)
	case "two answers":
		for {
			if err := stream.SendMsg(join(answer, kind("test"))); err != nil {
				return err
			}
		}
	case "huge error":
		return status.Error(codes.Internal, strings.Repeat("no ", 1<<20))
	}
	return stream.SendMsg(join(answer, kind("test")))
}

// health answers as the file health says, if there is one.
func (f foreign) health(stream grpc.ServerStream) error {
	if text, err := os.ReadFile(filepath.Join(f.Dir, "health")); err == nil && len(text) > 0 {
		return status.Error(codes.DeadlineExceeded, strings.Repeat(string(text), 1000))
	}
	return stream.SendMsg(message(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)))
}

// run does what the spec, field 4, says.
func (f foreign) run(stream grpc.ServerStream, request message) error {
	output := func(size int) message { return field(2, field(2, bytes.Repeat([]byte("x"), size))) }
	started, finished := field(1, nil), field(3, nil)
	events := map[string][]message{
		"large chunk":  {started, output(64<<10 + 1), finished},
		"huge message": {started, output(17 << 20), finished},
		"wordy result": {started, field(3, field(4, bytes.Repeat([]byte("w"), 2<<20)))},
		"garbage":      {started, message("\xff\xff\xff"), finished},
	}
	for name, list := range events {
		if !bytes.Contains(request, []byte(name)) {
			continue
		}
		for _, event := range list {
			if err := stream.SendMsg(event); err != nil {
				return err
			}
		}
		return nil
	}
	if bytes.Contains(request, []byte("wordy error")) {
		return status.Error(codes.Internal, strings.Repeat("w", 500<<10))
	}
	if bytes.Contains(request, []byte("huge error")) {
		return status.Error(codes.Internal, strings.Repeat("w", 3<<20))
	}
	return f.flood(stream, started, output(64<<10))
}

// flood sends a chunk again and again, and notes how much the host takes before it makes the plugin wait.
func (f foreign) flood(stream grpc.ServerStream, started, chunk message) error {
	sent := 0
	waits := time.AfterFunc(time.Hour, func() { f.note("waits %d", sent) })
	for event := started; ; event = chunk {
		waits.Reset(500 * time.Millisecond)
		if err := stream.SendMsg(event); err != nil {
			return err
		}
		waits.Stop()
		sent++
	}
}
