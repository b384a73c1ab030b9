package pluginapi

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// sent collects events, as copies, because an output uses its buffer again.
type sent struct {
	mu     sync.Mutex
	events []*pluginv1.RunEvent
	err    error
}

func (s *sent) send(event *pluginv1.RunEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.events = append(s.events, proto.CloneOf(event))
	}
	return s.err
}

func (s *sent) text(stream pluginv1.Stream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	for _, event := range s.events {
		if chunk := event.GetOutput(); chunk != nil && chunk.GetStream() == stream {
			b.Write(chunk.GetData())
		}
	}
	return b.String()
}

func TestOutputKeepsEverythingInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &sent{}
		out := newOutput(s.send)
		require.NoError(t, out.Started([]byte("state")))
		var want [3]bytes.Buffer
		var order []pluginv1.Stream
		for range rapid.IntRange(0, 20).Draw(t, "writes") {
			size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(wire.MaxOutput-2, 2*wire.MaxOutput+2)).Draw(t, "size")
			data := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, size)
			w, stream := out.Stdout(), pluginv1.Stream_STREAM_STDOUT
			if rapid.Bool().Draw(t, "stderr") {
				w, stream = out.Stderr(), pluginv1.Stream_STREAM_STDERR
			}
			n, err := w.Write(data)
			require.NoError(t, err)
			require.Equal(t, size, n)
			want[stream].Write(data)
			if size > 0 && (len(order) == 0 || order[len(order)-1] != stream) {
				order = append(order, stream)
			}
		}
		require.NoError(t, out.close(&pluginv1.Finished{ExitCode: 3}))
		require.Equal(t, "state", string(s.events[0].GetStarted().GetState()))
		require.EqualValues(t, 3, s.events[len(s.events)-1].GetFinished().GetExitCode())
		var got []pluginv1.Stream
		for _, event := range s.events[1 : len(s.events)-1] {
			chunk := event.GetOutput()
			require.LessOrEqual(t, len(chunk.GetData()), wire.MaxOutput)
			if len(got) == 0 || got[len(got)-1] != chunk.GetStream() {
				got = append(got, chunk.GetStream())
			}
		}
		require.Equal(t, order, got)
		for _, stream := range []pluginv1.Stream{pluginv1.Stream_STREAM_STDOUT, pluginv1.Stream_STREAM_STDERR} {
			require.Equal(t, want[stream].String(), s.text(stream))
		}
	})
}

func TestOutputIsFlushedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sent{}
		out := newOutput(s.send)
		begin := time.Now()
		for range 3 {
			_, err := out.Stdout().Write([]byte("a"))
			require.NoError(t, err)
			<-time.After(wire.FlushInterval / 4) // of the bubble
		}
		require.Empty(t, s.text(pluginv1.Stream_STREAM_STDOUT), "three small writes are one chunk")
		<-time.After(wire.FlushInterval / 4) // of the bubble
		synctest.Wait()
		require.Equal(t, "aaa", s.text(pluginv1.Stream_STREAM_STDOUT))
		require.Len(t, s.events, 2, "started and one chunk")
		require.True(t, s.events[1].GetOutput().GetTime().AsTime().Equal(begin))
		require.NoError(t, out.close(nil))
	})
}

func TestOutputRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a second start", func(t *testing.T) {
		t.Parallel()
		out := newOutput((&sent{}).send)
		require.NoError(t, out.Started(nil))
		require.Equal(t, CodePrecondition, CodeOf(out.Started(nil)))
	})
	t.Run("large state", func(t *testing.T) {
		t.Parallel()
		err := newOutput((&sent{}).send).Started(make([]byte, MaxState+1))
		require.EqualError(t, err, "runner state has 4097 bytes, at most 4096 are allowed")
	})
	t.Run("writes after the end", func(t *testing.T) {
		t.Parallel()
		s := &sent{}
		out := newOutput(s.send)
		require.NoError(t, out.close(&pluginv1.Finished{}))
		n, err := out.Stderr().Write([]byte("late"))
		require.ErrorIs(t, err, errFinished)
		require.Zero(t, n)
		require.Len(t, s.events, 2, "started and finished")
	})
	t.Run("writes to a host that is gone", func(t *testing.T) {
		t.Parallel()
		gone := errors.New("gone")
		out := newOutput((&sent{err: gone}).send)
		_, err := out.Stdout().Write(make([]byte, wire.MaxOutput))
		require.ErrorIs(t, err, gone)
		require.ErrorIs(t, out.close(&pluginv1.Finished{}), gone)
	})
}
