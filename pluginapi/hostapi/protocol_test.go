package hostapi_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
	open     bool // the stream does not end
	revision *pluginv1.Revision
}

func (f *foreign) Run(_ *pluginv1.RunRequest, stream grpc.ServerStreamingServer[pluginv1.RunEvent]) error {
	for _, event := range f.events {
		if err := stream.Send(event); err != nil {
			return err
		}
	}
	if f.open {
		<-stream.Context().Done()
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
	conn, err := grpc.NewClient("passthrough:///foreign", append(hostapi.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
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
	chunk    = &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Output{Output: &pluginv1.OutputChunk{Data: make([]byte, 64<<10+1)}}}
	wordy    = &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Finished{Finished: &pluginv1.Finished{Message: strings.Repeat("word ", 1<<20)}}}
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
		"large chunk":     {events: []*pluginv1.RunEvent{started, chunk, finished}, want: "a chunk of output has 65537 bytes, more than 65536", code: pluginapi.CodeInternal},
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

func TestAStreamThatGoesOnAfterTheResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := hostapi.NewRunner(serve(t, &foreign{events: []*pluginv1.RunEvent{started, finished}, open: true}), "runner(foreign)")
		begin := time.Now()
		result, err := r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r"}, plugintest.NewRecorder())
		require.EqualError(t, err, "runner(foreign): the stream of the run did not end within 5s of its result")
		require.Nil(t, result)
		require.Equal(t, pluginapi.CodeInternal, pluginapi.CodeOf(err))
		require.Equal(t, 5*time.Second, time.Since(begin))
	})
}

func TestWordsAreCutOff(t *testing.T) {
	t.Parallel()
	r := hostapi.NewRunner(serve(t, &foreign{events: []*pluginv1.RunEvent{started, wordy}}), "runner(foreign)")
	result, err := r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r"}, plugintest.NewRecorder())
	require.NoError(t, err)
	require.Len(t, result.Message, 16<<10+len("…"))

	problems := make(pluginapi.Diagnostics, 1000)
	for i := range problems {
		problems[i].Message = strings.Repeat("ä", 10_000)
	}
	err = connect(t, &scripted{configure: func() error { return problems[:5] }}).Configure(t.Context(), &pluginapi.Config{})
	require.Less(t, len(err.Error()), 17<<10)
	got, ok := errors.AsType[pluginapi.Diagnostics](err)
	require.True(t, ok)
	require.Len(t, got, 5)
	require.Equal(t, strings.Repeat("ä", 512)+"…", got[0].Message)

	for i := range problems {
		problems[i].Message = "x"
	}
	err = connect(t, &scripted{configure: func() error { return problems }}).Configure(t.Context(), &pluginapi.Config{})
	got, ok = errors.AsType[pluginapi.Diagnostics](err)
	require.True(t, ok)
	require.Len(t, got, 101)
	require.Equal(t, "and 900 more", got[100].Message)
}

// TestErrorsBeyondAllMeasure has an error of which not even a part arrives: what counts is that the host is told of a failure.
func TestErrorsBeyondAllMeasure(t *testing.T) {
	t.Parallel()
	r := connect(t, &scripted{configure: func() error { return errors.New(strings.Repeat("x", 4<<20)) }})
	err := r.Configure(t.Context(), &pluginapi.Config{})
	require.Error(t, err)
	require.Less(t, len(err.Error()), 17<<10)
}

func TestRevisionsThatCannotNameADirectoryAreRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "..", ".hidden", "a/b", "a b", "ä"} {
		s := hostapi.NewSource(serve(t, &foreign{revision: &pluginv1.Revision{Id: id}}), "source(foreign)")
		_, err := s.Resolve(t.Context(), &pluginapi.ResolveRequest{})
		require.ErrorContains(t, err, "is not the id of a revision")
	}
}
