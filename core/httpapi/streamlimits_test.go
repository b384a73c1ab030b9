package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/tally"
)

// Nobody takes the streams of all others.
func TestStreamsOfOneUser(t *testing.T) {
	t.Parallel()
	open := &tally.Counter{}
	b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) {
		c.Streams, c.OpenStreams = httpapi.Streams{MaxPerUser: 2}, open
	})
	job := b.as("operator").execute()
	var streams []socket
	for range 2 {
		streams = append(streams, b.as("operator").watch(job, ""))
	}
	other := b.as("viewer").watch(job, "")
	b.as("operator").write(job, "a", "one")
	for _, s := range append(streams, other) {
		require.Equal(t, []string{"one"}, s.lines(1)) // it is counted now
	}
	_, refused := b.as("operator").open(job, "", nil)
	requireError(t, refused, http.StatusServiceUnavailable, "You have 2 log streams open")
	require.EqualValues(t, 3, open.Counts()[tally.Labels{}])

	require.NoError(t, streams[0].Close(websocket.StatusNormalClosure, ""))
	require.Eventually(t, func() bool {
		_, opened := b.as("operator").open(job, "", nil)
		return opened.status == http.StatusSwitchingProtocols
	}, time.Minute, 10*time.Millisecond, "there is room again")
}

// However many follow, they are sent so much together and no more, and each gets everything.
func TestPaceOfStreams(t *testing.T) {
	t.Parallel()
	const viewers, size, rate = 4, 1 << 20, 2 << 20
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.Streams = httpapi.Streams{Rate: rate} })
	job := b.execute()
	var want []string
	for i := range size / 1024 {
		want = append(want, fmt.Sprint(i, strings.Repeat("x", 1024)))
	}
	b.write(job, "a", want...)
	start := time.Now()
	var reading errgroup.Group
	got := make([][]string, viewers)
	for i := range viewers {
		s := b.watch(job, "")
		reading.Go(func() error {
			got[i] = s.lines(len(want))
			return nil
		})
	}
	require.NoError(t, reading.Wait())
	for _, lines := range got {
		require.Equal(t, want, lines)
	}
	// What may be sent at once, and the last frame of each, come without waiting.
	const paced = viewers*size - rate/8 - viewers*64<<10
	require.Greater(t, time.Since(start), paced*time.Second/rate)
}
