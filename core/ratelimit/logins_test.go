package ratelimit_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/ratelimit"
)

var here, there = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")

// fail tries logins until one is not allowed, and returns how many were.
func fail(l *ratelimit.Logins, account string, address netip.Addr) int {
	for n := range 10_000 {
		if _, ok := l.Allow(account, address); !ok {
			return n
		}
	}
	return 10_000
}

func TestLogins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewLogins(10)
		require.Equal(t, 10, fail(l, "ada@example.com", here))
		require.Zero(t, fail(l, "ADA@example.com", here), "an account is the same in other letters")
		wait, ok := l.Allow("ada@example.com", here)
		require.False(t, ok)
		require.Equal(t, 6*time.Second, wait)
		require.Equal(t, 10, fail(l, "bob@example.com", here), "another account")
		pass(wait)
		require.Equal(t, 1, fail(l, "ada@example.com", here))
	})
}

func TestNoLimitOfLogins(t *testing.T) {
	t.Parallel()
	for _, l := range []*ratelimit.Logins{nil, ratelimit.NewLogins(0)} {
		require.Equal(t, 10_000, fail(l, "ada@example.com", here))
		l.Succeeded("ada@example.com", here)
	}
}

func TestNobodyIsLockedOutFromOneAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewLogins(10)
		for range 600 {
			fail(l, "ada@example.com", here)
			_, ok := l.Allow("ada@example.com", there)
			require.True(t, ok)
			l.Succeeded("ada@example.com", there)
			pass(time.Second)
		}
	})
}

func TestAnAddressCannotTryAllAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewLogins(10)
		tried := 0
		for i := range 1000 {
			if _, ok := l.Allow(fmt.Sprint(i), here); ok {
				tried++
			}
		}
		require.Equal(t, 50, tried)
		network := netip.MustParseAddr("2001:db8::")
		tried = 0
		for i := range 1000 {
			bytes := network.As16()
			bytes[14], bytes[15] = byte(i>>8), byte(i)
			if _, ok := l.Allow(fmt.Sprint(i), netip.AddrFrom16(bytes)); ok {
				tried++
			}
		}
		require.Equal(t, 50, tried, "all addresses of one network are one")
	})
}

func TestAnAccountIsNotTriedFromEverywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewLogins(10)
		tried := 0
		for i := range 1000 {
			if _, ok := l.Allow("ada@example.com", netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})); ok {
				tried++
			}
		}
		require.Equal(t, 100, tried)
		require.Zero(t, fail(l, "ada@example.com", here))
		require.Equal(t, 10, fail(l, "bob@example.com", netip.AddrFrom4([4]byte{10, 0, 0, 1})), "what was not tried costs nobody anything")
	})
}

func TestSuccessForgetsFailuresOfTheSamePairAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewLogins(10)
		for range 1000 { // logging in well is never limited
			_, ok := l.Allow("ada@example.com", here)
			require.True(t, ok)
			l.Succeeded("ada@example.com", here)
		}
		for range 9 {
			l.Allow("ada@example.com", here)
		}
		require.Equal(t, 10, fail(l, "eve@example.com", here))
		_, ok := l.Allow("ada@example.com", here)
		require.True(t, ok)
		l.Succeeded("ada@example.com", here)
		require.Zero(t, fail(l, "eve@example.com", here), "somebody else's success is none of theirs")
		require.Equal(t, 10, fail(l, "ada@example.com", here))
		require.Equal(t, 10, fail(l, "c@example.com", here))
		require.Equal(t, 10, fail(l, "d@example.com", here))
		require.Equal(t, 1, fail(l, "e@example.com", here), "what failed from an address stays counted for the address")
	})
}

func TestLoginsAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewLogins(10)
		var allowed atomic.Int64
		var running sync.WaitGroup
		for range 50 {
			running.Go(func() {
				if _, ok := l.Allow("ada@example.com", here); ok {
					allowed.Add(1)
				}
			})
		}
		running.Wait()
		require.EqualValues(t, 10, allowed.Load(), "before the first of them has failed")
	})
}
