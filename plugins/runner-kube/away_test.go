package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// newDistantRunner is newTestRunner with a way to the API server that the test can break.
func newDistantRunner(t *testing.T) (*runner, *cluster, *way) {
	t.Helper()
	way := newWay(t)
	r, c := newTestRunner(t, map[string]any{"kubeconfig": way.kubeconfig})
	return r, c, way
}

// TestConnectionsThatBreak has them break under a run.
func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	r, _, way := newDistantRunner(t)
	u := r.start(t, request(t, map[string]any{"cmd": "n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo $n; sleep 0.1; done; exit 3"}, nil))
	soon(t, "output", u.out.HasOutput())
	for len(way.came) > 0 {
		<-way.came
	}
	for range 3 {
		way.breakAll()
		soon(t, "another connection", way.came)
	}
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, 3, u.result.ExitCode)
	var want strings.Builder
	for n := 1; n <= 60; n++ {
		_, _ = fmt.Fprintln(&want, n)
	}
	require.Equal(t, want.String(), stdout(u.out), "nothing is lost, and nothing comes twice")
}

// longAway lets the runner try in vain for about ten seconds.
func (w *way) longAway(t *testing.T) {
	t.Helper()
	w.close()
	for range 30 {
		soon(t, "another attempt", w.refused)
	}
}

// TestStopWhileTheAPIServerIsAway stops a step that cannot be stopped yet.
func TestStopWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	r, _, way := newDistantRunner(t)
	u := r.start(t, request(t, map[string]any{"cmd": "echo ready; sleep 600"}, nil))
	soon(t, "output", u.out.HasOutput())
	way.close()
	u.cancel(pluginapi.ErrStopped)
	way.longAway(t)
	way.open()
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, "SIGTERM", u.result.Signal)
}

// TestEndWhileTheAPIServerIsAway has it go away when a step has ended, and is to be removed.
func TestEndWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	r, c, way := newDistantRunner(t)
	_, host, u := r.behind(t, c, "seq 1 20000; exit 3", 0)
	way.close()
	close(host.open)
	way.longAway(t)
	way.open()
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, 3, u.result.ExitCode)
	var want strings.Builder
	for n := 1; n <= 20000; n++ {
		_, _ = fmt.Fprintln(&want, n)
	}
	require.Equal(t, want.String(), text(host.Recorder), "nothing is missing, and nobody says so")
}

// refusing is an API server that is not there for the first calls that make something.
type refusing struct {
	http.RoundTripper
	left atomic.Int64
}

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost && r.left.Add(-1) >= 0 {
		return nil, syscall.ECONNREFUSED
	}
	return r.RoundTripper.RoundTrip(req)
}

// TestStartWhileTheAPIServerIsAway has a step wait for it.
func TestStartWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	server := &refusing{}
	server.left.Store(10)
	r.cluster = c.through(t, kubeconfig(t), func(next http.RoundTripper) http.RoundTripper {
		server.RoundTripper = next
		return server
	})
	result, _, err := run(t, r, request(t, map[string]any{"cmd": "exit 3"}, nil))
	require.NoError(t, err)
	require.Equal(t, 3, result.ExitCode)
}

// silent is an API server whose answer to a call is lost.
type silent struct {
	http.RoundTripper
	resource string // that is made by the call
}

func (s *silent) RoundTrip(req *http.Request) (*http.Response, error) {
	response, err := s.RoundTripper.RoundTrip(req)
	if err == nil && req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/"+s.resource) {
		_ = response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return response, err
}

// TestAnswersThatAreLost has a Secret, or a pod, be made of which the runner never hears: nothing of it may be left.
func TestAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{"secrets", "pods"} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			r, c := newTestRunner(t, nil)
			r.cluster = c.through(t, kubeconfig(t), func(next http.RoundTripper) http.RoundTripper { return &silent{next, resource} })
			_, _, err := run(t, r, request(t, map[string]any{"cmd": "sleep 600"}, nil))
			require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err), "%v", err)
		})
	}
}
