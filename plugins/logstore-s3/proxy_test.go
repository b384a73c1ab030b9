package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/s3server"
)

// recorder is a proxy in front of a server that remembers the requests that went through it.
type recorder struct {
	*httptest.Server
	// answer answers a request in place of the server, if it returns true. It may be set before there are requests.
	answer func(w http.ResponseWriter, req *http.Request) bool

	mu   sync.Mutex
	seen []*http.Request
}

// record starts a proxy.
func record(t *testing.T, server *s3server.Server) *recorder {
	t.Helper()
	at, err := url.Parse(server.Endpoint)
	require.NoError(t, err)
	r := &recorder{}
	transport := &http.Transport{}
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(at)
		p.Out.Host = p.In.Host // which is signed
	}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, req.Clone(req.Context()))
		r.mu.Unlock()
		if r.answer == nil || !r.answer(w, req) {
			forward.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(r.Close)
	return r
}

// requests returns those of a method whose query has a key, or none if that is "".
func (r *recorder) requests(method, key string) []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.seen), func(req *http.Request) bool {
		query := req.URL.Query()
		query.Del("x-id") // the SDK's name of the operation
		return req.Method != method || key == "" && len(query) > 0 || key != "" && !query.Has(key)
	})
}

// headers returns those of a request whose names begin with a prefix.
func headers(req *http.Request, prefix string) map[string]string {
	found := map[string]string{}
	for name, values := range req.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, prefix) {
			found[name] = strings.Join(values, ",")
		}
	}
	return found
}
