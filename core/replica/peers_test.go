package replica_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/replica"
)

var key = replica.Key("the key that all replicas have")

// other is a server in place of another replica. It lets in what its guard does, after change, and answers as told.
type other struct {
	replica.Guard
	change func(r *http.Request, body *[]byte)
	status int
	answer string
}

func (o *other) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if o.change != nil {
		o.change(r, &body)
	}
	err := o.Check(r.Method, r.URL.RequestURI(), r.Header.Get, body)
	if known, ok := err.(*core.Error); ok { //nolint:errorlint // that is what it is
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": known.Message, "code": known.Reason})
		return
	}
	if o.status != 0 {
		w.WriteHeader(o.status)
	}
	_, _ = io.WriteString(w, o.answer)
}

func serve(t *testing.T, o *other) core.LogSegment {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	return core.LogSegment{Job: uuid.New(), N: 2, Replica: o.ID, URL: server.URL + "/"}
}

func peers(t *testing.T, key replica.Key, config *tls.Config) *replica.Peers {
	t.Helper()
	p := replica.NewPeers(key, config)
	t.Cleanup(p.Close)
	return p
}

// TestForgedRequestsAreRefused changes what a replica has sent, one thing at a time.
func TestForgedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key    replica.Key
		change func(r *http.Request, body *[]byte)
		want   string
	}{
		"as it was sent":   {key: key},
		"another key":      {key: replica.Key("another key"), want: "for the other replicas alone"},
		"no key":           {want: "for the other replicas alone"},
		"no signature":     {key: key, change: func(r *http.Request, _ *[]byte) { r.Header.Del("X-Stroem-Signature") }, want: "for the other replicas alone"},
		"half a signature": {key: key, change: func(r *http.Request, _ *[]byte) { cut(r, "X-Stroem-Signature") }, want: "for the other replicas alone"},
		"another body":     {key: key, change: func(_ *http.Request, body *[]byte) { *body = append(*body, '\n') }, want: "for the other replicas alone"},
		"another method":   {key: key, change: func(r *http.Request, _ *[]byte) { r.Method = http.MethodGet }, want: "for the other replicas alone"},
		"another path":     {key: key, change: func(r *http.Request, _ *[]byte) { r.URL.Path += "s" }, want: "for the other replicas alone"},
		"another query":    {key: key, change: func(r *http.Request, _ *[]byte) { r.URL.RawQuery += "&first=7" }, want: "for the other replicas alone"},
		"another replica":  {key: key, change: func(r *http.Request, _ *[]byte) { r.Header.Set("X-Stroem-Replica", uuid.NewString()) }, want: "for the other replicas alone"},
		"another time": {key: key, change: func(r *http.Request, _ *[]byte) {
			r.Header.Set("X-Stroem-Time", strconv.FormatInt(time.Now().Unix()+1, 10))
		}, want: "for the other replicas alone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := serve(t, &other{Guard: replica.Guard{Keys: []replica.Key{key}, ID: uuid.New()}, change: c.change})
			err := peers(t, c.key, nil).Append(t.Context(), to, "a", 1, 1, []byte("x\n"))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, core.CodeUnavailable, core.ErrorCode(err))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestWhileAKeyIsReplaced has a replica that still has the old one as its own.
func TestWhileAKeyIsReplaced(t *testing.T) {
	t.Parallel()
	next := replica.Key("the next key")
	to := serve(t, &other{Guard: replica.Guard{Keys: []replica.Key{key, next}, ID: uuid.New()}})
	for _, with := range []replica.Key{key, next} {
		require.NoError(t, peers(t, with, nil).Event(t.Context(), to, "x"))
	}
	require.Error(t, peers(t, replica.Key("another key"), nil).Event(t.Context(), to, "x"))
}

func cut(r *http.Request, header string) {
	value := r.Header.Get(header)
	r.Header.Set(header, value[:len(value)/2])
}

// TestAddressOfAnotherReplica asks one replica for another one's, as happens when an address is given to another machine.
func TestAddressOfAnotherReplica(t *testing.T) {
	t.Parallel()
	to := serve(t, &other{Guard: replica.Guard{Keys: []replica.Key{key}, ID: uuid.New()}})
	to.Replica = uuid.New()
	err := peers(t, key, nil).Event(t.Context(), to, "x")
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err))
	require.ErrorContains(t, err, "internal_url has to lead to one replica")
}

func TestWhatAnotherReplicaSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		answer string
		code   core.Code
		reason string
	}{
		"it is elsewhere":    {http.StatusConflict, `{"error":"x","code":"` + logs.ReasonMoved + `"}`, core.CodeConflict, logs.ReasonMoved},
		"another conflict":   {http.StatusConflict, `{"error":"x","code":"other_replica"}`, core.CodeUnavailable, "replica_unavailable"},
		"bad lines":          {http.StatusBadRequest, `{"error":"x","code":"log_invalid"}`, core.CodeInvalid, "log_invalid"},
		"no job":             {http.StatusNotFound, `{"error":"Job not found","code":"not_found"}`, core.CodeNotFound, "not_found"},
		"an older version":   {http.StatusNotFound, `{"error":"There is nothing at POST /internal","code":"not_found"}`, core.CodeUnavailable, "replica_unavailable"},
		"it cannot now":      {http.StatusServiceUnavailable, `{"error":"x","code":"log_unavailable"}`, core.CodeUnavailable, "log_unavailable"},
		"it is broken":       {http.StatusInternalServerError, `{"error":"x","code":"internal"}`, core.CodeUnavailable, "replica_unavailable"},
		"it is not ours":     {http.StatusOK + 2, "<html>", core.CodeUnavailable, "replica_unavailable"},
		"it leads elsewhere": {http.StatusFound, "", core.CodeUnavailable, "replica_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := serve(t, &other{Guard: replica.Guard{Keys: []replica.Key{key}, ID: uuid.New()}, status: c.status, answer: c.answer})
			err := peers(t, key, nil).Append(t.Context(), to, "a", 1, 1, []byte("x\n"))
			var told *core.Error
			require.ErrorAs(t, err, &told)
			require.Equal(t, c.code, told.Code)
			require.Equal(t, c.reason, told.Reason)
		})
	}
	to := serve(t, &other{Guard: replica.Guard{Keys: []replica.Key{key}, ID: uuid.New()}, answer: "short"})
	err := peers(t, key, nil).ReadAt(t.Context(), to, 1, make([]byte, 10), 0)
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err), "less than was asked for")
	to.URL = "http://127.0.0.1:1"
	_, err = peers(t, key, nil).Next(t.Context(), to, "a", 1)
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err), "nobody is there")
}

// TestReplicaThatDoesNotAnswer is waited for once, and not by each who asks.
func TestReplicaThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	o := &other{Guard: replica.Guard{Keys: []replica.Key{key}, ID: uuid.New()}, answer: "7"}
	o.change = func(r *http.Request, _ *[]byte) {
		if asked.Add(1) == 1 {
			<-r.Context().Done() // the caller gives up
		}
	}
	to, p := serve(t, o), peers(t, key, nil)
	_, err := p.Next(t.Context(), to, "a", 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for range 100 {
		_, err = p.Next(t.Context(), to, "a", 1)
		require.ErrorContains(t, err, "it did not answer a moment ago")
	}
	require.EqualValues(t, 1, asked.Load())
	require.Eventually(t, func() bool {
		next, err := p.Next(t.Context(), to, "a", 1)
		return err == nil && next == 7
	}, 10*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Next(ctx, to, "a", 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = p.Next(t.Context(), to, "a", 1)
	require.NoError(t, err, "one who does not wait any more is no reason")
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	o := &other{Guard: replica.Guard{Keys: []replica.Key{key}, ID: uuid.New()}, answer: "7"}
	server := httptest.NewTLSServer(o)
	t.Cleanup(server.Close)
	to := core.LogSegment{Job: uuid.New(), N: 1, Replica: o.ID, URL: server.URL}
	_, err := peers(t, key, nil).Next(t.Context(), to, "a", 1)
	require.ErrorContains(t, err, "certificate")
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	next, err := peers(t, key, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}).Next(t.Context(), to, "a", 1)
	require.NoError(t, err)
	require.EqualValues(t, 7, next)
}
