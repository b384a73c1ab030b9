package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watchless is an API server that answers watches of pods as it is told to.
type watchless struct {
	http.RoundTripper
	answer func(n int64) (code int, body string) // to the nth; 0: as the cluster does
	asked  atomic.Int64                          // watches
	calls  atomic.Int64
}

func (w *watchless) RoundTrip(req *http.Request) (*http.Response, error) {
	w.calls.Add(1)
	if req.URL.Query().Get("watch") == "" || !strings.HasSuffix(req.URL.Path, "/pods") {
		return w.RoundTripper.RoundTrip(req)
	}
	code, body := w.answer(w.asked.Add(1))
	if code == 0 {
		return w.RoundTripper.RoundTrip(req)
	}
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// TestWatchesThatCannotBe has watches expire, be refused and end at once: the pod is looked at instead, at a calm rate.
func TestWatchesThatCannotBe(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	const status = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "%s", "code": %d}`
	for name, answer := range map[string]func(n int64) (int, string){
		"expired": func(n int64) (int, string) {
			return map[int64]int{1: http.StatusGone, 2: http.StatusOK}[n], map[int64]string{
				1: fmt.Sprintf(status, "Expired", http.StatusGone),
				2: `{"type": "ERROR", "object": ` + fmt.Sprintf(status, "Expired", http.StatusGone) + `}`,
			}[n]
		},
		"refused": func(int64) (int, string) {
			return http.StatusForbidden, fmt.Sprintf(status, "Forbidden", http.StatusForbidden)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &watchless{answer: answer}
			away := newRunner(r.log)
			away.config = r.config
			away.cluster = c.through(t, kubeconfig(t), func(next http.RoundTripper) http.RoundTripper {
				server.RoundTripper = next
				return server
			})
			begin := time.Now()
			result, out, err := run(t, away, request(t, map[string]any{"cmd": "echo x; exit 3"}, nil))
			require.NoError(t, err)
			require.Equal(t, 3, result.ExitCode)
			require.Equal(t, "x\n", stdout(out))
			require.GreaterOrEqual(t, server.asked.Load(), int64(2))
			const usual, perSecond = 12, 3
			require.Less(t, server.calls.Load(), int64(usual+perSecond*time.Since(begin).Seconds()))
		})
	}
}
