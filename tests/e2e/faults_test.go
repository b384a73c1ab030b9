package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

// freezeVariable says for how many seconds a frozen connection stays so. The server's limits are set in proportion: it gives
// up waiting for an answer in less than half of that, and a worker that was silent for four fifths.
const freezeVariable = "STROEM_TEST_FREEZE_SECS"

func freezeSecs(t *testing.T) int {
	t.Helper()
	text := os.Getenv(freezeVariable)
	if text == "" {
		return 5
	}
	secs, err := strconv.Atoi(text)
	require.NoError(t, err, freezeVariable)
	require.GreaterOrEqual(t, secs, 5, freezeVariable)
	return secs
}

// wire is the connection between a server and its database.
type wire struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	url   string // of the database, through the proxy
}

func newWire(t *testing.T) *wire {
	t.Helper()
	database, err := url.Parse(coretest.Postgres(t))
	require.NoError(t, err)
	registerLoss()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "database", "127.0.0.1:0", database.Host)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	database.Host = proxy.Listen
	return &wire{t: t, proxy: proxy, url: database.String()}
}

// poison does something to all that goes through, in both directions, until the function that it returns is called.
func (w *wire) poison(kind string, attributes map[string]any) (heal func()) {
	w.t.Helper()
	directions := []string{"upstream", "downstream"}
	for _, direction := range directions {
		toxic, err := json.Marshal(map[string]any{"name": direction, "type": kind, "stream": direction, "toxicity": 1.0, "attributes": attributes})
		require.NoError(w.t, err)
		_, err = w.proxy.Toxics.AddToxicJson(strings.NewReader(string(toxic)))
		require.NoError(w.t, err)
	}
	return func() {
		for _, direction := range directions {
			require.NoError(w.t, w.proxy.Toxics.RemoveToxic(w.t.Context(), direction))
		}
	}
}

// loss is a toxic that drops what comes, and leaves the connection open when it is taken away.
type loss struct{}

// Pipe does what a toxic does.
func (*loss) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
		}
	}
}

var registerLoss = sync.OnceFunc(func() { toxics.Register("loss", new(loss)) })

// TestDatabaseFaults disturbs the connection to the database in the middle of many jobs. All of them complete: no step is lost,
// none runs twice, no worker is given up for a silence that is the server's. Meanwhile /readyz tells the truth.
func TestDatabaseFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		begin  func(*wire) (end func())
		ready  bool // all the time
		silent bool // connections stay open
	}{
		// All connections end, and no new ones are taken.
		"cut": {begin: func(w *wire) func() {
			w.proxy.Stop()
			return func() { require.NoError(w.t, w.proxy.Start()) }
		}},
		// Nothing gets through any more; what was sent arrives in the end.
		"freeze": {begin: func(w *wire) func() { return w.poison("latency", map[string]any{"latency": time.Hour.Milliseconds()}) }, silent: true},
		// Nothing gets through, and what was sent is lost; in the end the connections work again, and nobody says so.
		"silence": {begin: func(w *wire) func() { return w.poison("loss", map[string]any{}) }, silent: true},
		"slow":    {begin: func(w *wire) func() { return w.poison("latency", map[string]any{"latency": 60, "jitter": 40}) }, ready: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secs := freezeSecs(t)
			w := newWire(t)
			s := newSystemOn(t, w.url, workspace(t, counted), settings{
				"db":       settings{"url": w.url, "timeout_secs": secs * 2 / 5},
				"recovery": settings{"heartbeat_timeout_secs": secs * 4 / 5, "sweep_interval_secs": 1},
			})
			s.startWorker("w", settings{"max_concurrent": crashSlots})
			crash{s, func(ctx context.Context) {
				end := fault.begin(w)
				began := time.Now()
				if !fault.ready {
					s.eventually("the server says that it is not ready", func(ctx context.Context) bool { return s.Ready(ctx) != nil })
					t.Logf("not ready after %s", time.Since(began).Round(time.Millisecond))
				}
				over := time.NewTimer(time.Duration(secs)*time.Second - time.Since(began))
				defer over.Stop()
				for going := true; going; {
					require.Equal(t, fault.ready, s.Ready(ctx) == nil, "what /readyz says")
					require.Equal(t, http.StatusOK, s.status(ctx, "/livez"))
					select {
					case <-over.C:
						going = false
					case <-ctx.Done():
						going = false
					case <-time.After(100 * time.Millisecond):
					}
				}
				if fault.silent {
					s.eventually("the leader doubts that it leads", func(context.Context) bool {
						return strings.Contains(s.server.log.String(), "the leader's lock was lost")
					})
				}
				end()
				healed := time.Now()
				s.eventually("the server is ready again", func(ctx context.Context) bool { return s.Ready(ctx) == nil })
				t.Logf("ready again after %s", time.Since(healed).Round(time.Millisecond))
			}, false, 60}.run(t)
		})
	}
}

// status is what the server answers with.
func (s *system) status(ctx context.Context, path string) int {
	s.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listen+path, nil)
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Body.Close())
	return response.StatusCode
}
