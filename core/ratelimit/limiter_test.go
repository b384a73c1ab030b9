package ratelimit_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/ratelimit"
)

// pass lets time pass, of which nothing is spent in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func TestTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(60, 3, 10)
		take := func(wait time.Duration, ok bool) {
			t.Helper()
			gotWait, gotOK := l.Take("k")
			require.Equal(t, ok, gotOK)
			require.Equal(t, wait, gotWait)
		}
		for range 3 {
			take(0, true)
		}
		take(time.Second, false)
		take(time.Second, false) // which costs nothing
		_, ok := l.Take("other")
		require.True(t, ok)
		pass(250 * time.Millisecond)
		take(750*time.Millisecond, false)
		pass(750 * time.Millisecond)
		take(0, true)
		take(time.Second, false)
		pass(time.Hour) // and it is no fuller than full
		for range 3 {
			take(0, true)
		}
		take(time.Second, false)
		l.Return("k")
		take(0, true)
		take(time.Second, false)
		l.Forget("k")
		for range 3 {
			take(0, true)
		}
		take(time.Second, false)
		l.Forget("k")
		l.Return("k") // of a full bucket
		for range 3 {
			take(0, true)
		}
		take(time.Second, false)
	})
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	l := ratelimit.New(0, 0, 0)
	require.Nil(t, l)
	for range 1000 {
		_, ok := l.Take("k")
		require.True(t, ok)
	}
	l.Return("k")
	l.Forget("k")
}

// TestTakeIsWhatABucketWouldGive holds any course of events against a bucket that is filled drop by drop.
func TestTakeIsWhatABucketWouldGive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		perMinute, burst := rapid.IntRange(1, 20).Draw(rt, "per minute"), rapid.IntRange(1, 5).Draw(rt, "burst")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 10_000), 0, 50).Draw(rt, "pauses")
		synctest.Test(t, func(t *testing.T) {
			l := ratelimit.New(perMinute, burst, 10)
			each := time.Minute / time.Duration(perMinute)
			level := time.Duration(burst) * each // in time that it takes to fill it so far
			for _, pause := range pauses {
				d := time.Duration(pause) * time.Millisecond
				pass(d)
				level = min(level+d, time.Duration(burst)*each)
				wait, ok := l.Take("k")
				require.Equal(t, level >= each, ok)
				if ok {
					level -= each
				} else {
					require.Equal(t, each-level, wait)
				}
			}
		})
	})
}

func TestTheIdlestIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(1, 1, 3)
		take := func(key string) bool {
			_, ok := l.Take(key)
			return ok
		}
		for _, key := range []string{"a", "b", "c"} {
			require.True(t, take(key))
		}
		require.False(t, take("a")) // which was used last now
		require.True(t, take("d"))
		require.False(t, take("a"))
		require.True(t, take("b"), "there is room for three")
		require.False(t, take("d"))
	})
}

func TestKeysTakeNoMoreThanTheirRoom(t *testing.T) {
	t.Parallel()
	l := ratelimit.New(1, 1, 100)
	long := strings.Repeat("x", 1<<14)
	for i := range 1000 {
		_, ok := l.Take(fmt.Sprint(long, i))
		require.True(t, ok)
	}
	_, ok := l.Take(fmt.Sprint(long, 999))
	require.False(t, ok)
}

func TestTakeAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(60, 100, 2)
		var taken atomic.Int64
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				for range 50 {
					if _, ok := l.Take("k"); ok {
						taken.Add(1)
					}
				}
			})
		}
		running.Wait()
		require.EqualValues(t, 100, taken.Load())
	})
}

func TestAddressKey(t *testing.T) {
	t.Parallel()
	key := func(text string) string { return ratelimit.AddressKey(netip.MustParseAddr(text)) }
	require.Equal(t, key("192.0.2.1"), key("::ffff:192.0.2.1"))
	require.NotEqual(t, key("192.0.2.1"), key("192.0.2.2"))
	require.Equal(t, key("2001:db8::1"), key("2001:db8::ffff:1:2"))
	require.Equal(t, key("fe80::1%eth0"), key("fe80::1%eth1"))
	require.NotEqual(t, key("2001:db8::1"), key("2001:db8:0:1::1"))
	require.NotPanics(t, func() { ratelimit.AddressKey(netip.Addr{}) })
}
