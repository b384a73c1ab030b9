package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/client"
)

// relay is a way to a server on which connections can be cut.
type relay struct {
	address string

	mu     sync.Mutex
	target string
	conns  []net.Conn
}

func (b *bundle) relay() *relay {
	b.t.Helper()
	listener, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b.t, err)
	r := &relay{address: "http://" + listener.Addr().String(), target: b.url}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			to, err := new(net.Dialer).DialContext(b.t.Context(), "tcp", strings.TrimPrefix(r.target, "http://"))
			if err != nil {
				_ = from.Close()
				r.mu.Unlock()
				continue
			}
			r.conns = append(r.conns, from, to)
			r.mu.Unlock()
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				running.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
	b.t.Cleanup(func() {
		_ = listener.Close()
		r.cut()
		running.Wait()
	})
	return r
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.conns = nil
}

// to leads new connections to another server.
func (r *relay) to(server string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = server
}

func (b *bundle) client(server string) *client.Client {
	b.t.Helper()
	c, err := client.New(client.Options{Server: server, Token: b.token})
	require.NoError(b.t, err)
	b.t.Cleanup(c.Close)
	return c
}

// plan is a job whose lines come in batches, and viewers that connect before a batch and cut the connection after so many frames.
type plan struct {
	batches []int
	viewers []planned
}

type planned struct {
	at   int
	cuts []int
}

func drawPlan(t *rapid.T) plan {
	return plan{
		batches: rapid.SliceOfN(rapid.IntRange(1, 400), 1, 12).Draw(t, "batches"),
		viewers: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) planned {
			return planned{rapid.IntRange(0, 12).Draw(t, "at"), rapid.SliceOfN(rapid.IntRange(0, 3), 0, 4).Draw(t, "cuts")}
		}), 1, 5).Draw(t, "viewers"),
	}
}

// readAll reads a log to its end, cutting the connection as it is planned and going on from the next line.
func (b *bundle) readAll(ctx context.Context, job string, cuts []int) (lines []string, err error) {
	for {
		done, err := b.readSome(ctx, job, &cuts, &lines)
		if done || err != nil {
			return lines, err
		}
	}
}

func (b *bundle) readSome(ctx context.Context, job string, cuts *[]int, lines *[]string) (done bool, err error) {
	conn, response, err := websocket.Dial(ctx, fmt.Sprintf("%s/api/jobs/%s/logs/stream?from=%d", b.url, job, len(*lines)+1), nil)
	if err != nil {
		if response != nil {
			err = fmt.Errorf("status %d: %w", response.StatusCode, err)
		}
		return false, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	for frames := 0; ; frames++ {
		if len(*cuts) > 0 && frames >= (*cuts)[0] {
			*cuts = (*cuts)[1:]
			return false, nil
		}
		_, data, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		*lines = append(*lines, slices.Collect(strings.Lines(string(data)))...)
	}
}

// Whoever comes at any moment, is cut and goes on sees every line once, in order.
func TestEveryLineOnceInOrder(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	relay := b.relay()
	c := b.client(relay.address)
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		job := b.execute()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := make([][]string, len(p.viewers)+1)
		var viewing errgroup.Group
		view := func(i int) {
			viewing.Go(func() (err error) {
				got[i], err = b.readAll(ctx, job, p.viewers[i].cuts)
				return err
			})
		}
		var there atomic.Bool     // before, to be cut is an error
		viewing.Go(func() error { // one that resumes by itself
			return c.Follow(ctx, job, client.LogQuery{}, func(lines string) error {
				there.Store(true)
				got[len(p.viewers)] = append(got[len(p.viewers)], slices.Collect(strings.Lines(lines))...)
				return nil
			})
		})
		written := 0
		for i, n := range p.batches {
			for v := range p.viewers {
				if p.viewers[v].at == i {
					view(v)
				}
			}
			lines := make([]string, n)
			for i := range lines {
				lines[i] = fmt.Sprint(written + i)
			}
			b.write(job, "a", lines...)
			written += n
			if i%4 == 3 && there.Load() {
				relay.cut()
			}
		}
		b.cancel(job)
		for v := range p.viewers {
			if p.viewers[v].at >= len(p.batches) {
				view(v)
			}
		}
		require.NoError(rt, viewing.Wait())
		page, err := c.Logs(ctx, job, client.LogQuery{})
		require.NoError(rt, err)
		want := slices.Collect(strings.Lines(page.Logs))
		require.GreaterOrEqual(rt, len(want), written)
		for i := range got {
			require.Equal(rt, want, got[i], "viewer %d", i)
		}
	})
}

// Lines of one step have gaps between their numbers: they are counted, and come once all the same.
func TestFollowOneStep(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	relay := b.relay()
	c := b.client(relay.address)
	job := b.execute()
	b.write(job, "b", "no", "no")
	b.write(job, "a", "0", "1")
	var got []string
	err := c.Follow(t.Context(), job, client.LogQuery{Step: "a", From: 2}, func(lines string) error {
		got = append(got, splitLines(t, lines)...)
		if n := len(got); n < 10 {
			b.write(job, "b", "no")
			relay.cut()
			b.write(job, "a", fmt.Sprint(n), fmt.Sprint(n+1))
		} else {
			b.cancel(job)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, got)
}

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured).as("operator")
	c := b.client(b.url)
	job := b.execute()
	b.write(job, "a", "one")
	ignore := func(string) error { return nil }

	failure := errors.New("the pipe is closed")
	require.ErrorIs(t, c.Follow(t.Context(), job, client.LogQuery{}, func(string) error { return failure }), failure)

	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, c.Follow(ctx, job, client.LogQuery{}, func(string) error { cancel(); return nil }), context.Canceled)

	err := c.Follow(t.Context(), "01999b6e-0000-7000-8000-000000000000", client.LogQuery{}, ignore)
	require.True(t, client.IsCode(err, "not_found"), "%v", err)
	require.ErrorContains(t, err, "Job not found")
	err = c.WithToken("nonsense").Follow(t.Context(), job, client.LogQuery{}, ignore)
	require.True(t, client.IsCode(err, "token_invalid"), "%v", err)

	gone := b.client("http://127.0.0.1:1")
	require.ErrorContains(t, gone.Follow(t.Context(), job, client.LogQuery{}, ignore), "cannot reach the server at 127.0.0.1:1")
}

// A token that has run out is renewed for a stream as for other calls.
func TestFollowRenewsItsToken(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured).as("operator")
	job := b.execute()
	b.write(job, "a", "one")
	b.cancel(job)
	c := b.client(b.url).WithSource(renewed{b.token})
	var got []string
	require.NoError(t, c.Follow(t.Context(), job, client.LogQuery{}, func(lines string) error {
		got = append(got, splitLines(t, lines)...)
		return nil
	}))
	require.Equal(t, "one", got[0])
}

type renewed struct{ token string }

func (renewed) Token(context.Context) (string, error) { return "run out", nil }

func (r renewed) Renew(context.Context, string) (string, error) { return r.token, nil }

// A server that stops hands its viewers on to the next one.
func TestFollowAcrossTheEndOfAServer(t *testing.T) {
	t.Parallel()
	first := newBundle(t)
	second := first.replica()
	relay := first.relay()
	job := first.execute()
	first.write(job, "a", "one")
	var got []string
	require.NoError(t, first.client(relay.address).Follow(t.Context(), job, client.LogQuery{}, func(lines string) error {
		got = append(got, splitLines(t, lines)...)
		if len(got) > 1 {
			return nil
		}
		relay.to(second.url)
		if err := first.api.Shutdown(t.Context()); err != nil {
			return err
		}
		second.write(job, "a", "two")
		second.cancel(job)
		return nil
	}))
	require.Equal(t, []string{"one", "two"}, got[:2])
}
