package hostapi_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// foreign is a plugin in another language, which may do anything.
type foreign struct {
	pluginv1.UnimplementedRunnerServiceServer
	pluginv1.UnimplementedSourceServiceServer
	events   []*pluginv1.RunEvent
	end      error
	revision *pluginv1.Revision
}

func (f *foreign) Run(_ *pluginv1.RunRequest, stream grpc.ServerStreamingServer[pluginv1.RunEvent]) error {
	for _, event := range f.events {
		if err := stream.Send(event); err != nil {
			return err
		}
	}
	return f.end
}

func (f *foreign) Resolve(context.Context, *pluginv1.ResolveRequest) (*pluginv1.ResolveResponse, error) {
	return &pluginv1.ResolveResponse{Revision: f.revision}, nil
}

func serve(t *testing.T, f *foreign) *grpc.ClientConn {
	t.Helper()
	listener, server := bufconn.Listen(1<<16), grpc.NewServer()
	pluginv1.RegisterRunnerServiceServer(server, f)
	pluginv1.RegisterSourceServiceServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///foreign", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		require.NoError(t, <-served)
	})
	return conn
}

var (
	started  = &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Started{Started: &pluginv1.Started{}}}
	output   = &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Output{Output: &pluginv1.OutputChunk{Data: []byte("x")}}}
	finished = &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Finished{Finished: &pluginv1.Finished{}}}
	unknown  = &pluginv1.RunEvent{}
	large    = &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Started{Started: &pluginv1.Started{State: make([]byte, 5000)}}}
)

func TestOnlyACompleteRunSucceeds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		events []*pluginv1.RunEvent
		end    error
		want   string // "" is success
		code   pluginapi.Code
	}{
		"complete":        {events: []*pluginv1.RunEvent{started, output, finished}},
		"unknown event":   {events: []*pluginv1.RunEvent{started, unknown, finished}},
		"nothing":         {want: "the run ended without a result", code: pluginapi.CodeInternal},
		"no result":       {events: []*pluginv1.RunEvent{started, output}, want: "the run ended without a result", code: pluginapi.CodeInternal},
		"no start":        {events: []*pluginv1.RunEvent{output, finished}, want: "output came before the start", code: pluginapi.CodeInternal},
		"two starts":      {events: []*pluginv1.RunEvent{started, started, finished}, want: "the run started twice", code: pluginapi.CodeInternal},
		"two results":     {events: []*pluginv1.RunEvent{started, finished, finished}, want: "an event came after the end", code: pluginapi.CodeInternal},
		"output too late": {events: []*pluginv1.RunEvent{started, finished, output}, want: "an event came after the end", code: pluginapi.CodeInternal},
		"large state":     {events: []*pluginv1.RunEvent{large}, want: "runner state has 5000 bytes", code: pluginapi.CodeInternal},
		"plain status": {
			events: []*pluginv1.RunEvent{started}, end: status.Error(codes.NotFound, "no image"),
			want: "runner(foreign): no image", code: pluginapi.CodeNotFound,
		},
		"failure after the result": {
			events: []*pluginv1.RunEvent{started, finished}, end: status.Error(codes.Internal, "crash"),
			want: "runner(foreign): crash", code: pluginapi.CodeInternal,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := hostapi.NewRunner(serve(t, &foreign{events: test.events, end: test.end}), "runner(foreign)")
			result, err := r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r"}, plugintest.NewRecorder())
			if test.want == "" {
				require.NoError(t, err)
				require.Equal(t, &pluginapi.Result{}, result)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.Nil(t, result)
			require.Equal(t, test.code, pluginapi.CodeOf(err))
		})
	}
}

func TestRevisionsThatCannotNameADirectoryAreRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "..", ".hidden", "a/b", "a b", "ä"} {
		s := hostapi.NewSource(serve(t, &foreign{revision: &pluginv1.Revision{Id: id}}), "source(foreign)")
		_, err := s.Resolve(t.Context(), &pluginapi.ResolveRequest{})
		require.ErrorContains(t, err, "is not the id of a revision")
	}
}
