package tally_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/tally"
)

func TestCounterCountsByLabels(t *testing.T) {
	t.Parallel()
	var c tally.Counter
	require.Empty(t, c.Counts())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				c.Add(1, "a", "x")
				c.Add(2, "b")
			}
		})
	}
	group.Wait()
	got := c.Counts()
	require.Equal(t, map[tally.Labels]int64{{"a", "x"}: 800, {"b", ""}: 1600}, got)
	got[tally.Labels{"a", "x"}] = 0
	require.EqualValues(t, 800, c.Counts()[tally.Labels{"a", "x"}], "what was returned is a copy")
}

func TestCounterIsBounded(t *testing.T) {
	t.Parallel()
	var c tally.Counter
	for i := range 5000 {
		c.Add(1, "workspace "+strconv.Itoa(i), "completed")
	}
	c.Add(1, "workspace 0", "completed")
	counts := c.Counts()
	require.Len(t, counts, 1001)
	require.EqualValues(t, 4000, counts[tally.Labels{tally.Other, "completed"}])
	require.EqualValues(t, 2, counts[tally.Labels{"workspace 0", "completed"}])
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h tally.Histogram
	for _, d := range []time.Duration{-time.Second, time.Millisecond, time.Millisecond + time.Microsecond, time.Second, 2 * time.Hour} {
		h.Observe(d)
	}
	count, sum, upTo := h.Read()
	require.EqualValues(t, 5, count)
	require.InDelta(t, 7201.002001, sum, 1e-6)
	require.EqualValues(t, 2, upTo[0.001], "a bound belongs to its bucket")
	require.EqualValues(t, 3, upTo[0.0025])
	require.EqualValues(t, 3, upTo[0.5])
	require.EqualValues(t, 4, upTo[1])
	require.EqualValues(t, 4, upTo[3600])
}
