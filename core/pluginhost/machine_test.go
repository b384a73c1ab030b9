package pluginhost

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// now is when the plugins of these tests first start. They need no clock, so hours cost nothing.
var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func defaults() Limits { return Limits{}.withDefaults() }

func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	require.Equal(t, Limits{
		Start: 15 * time.Second, Configure: 15 * time.Second, HealthInterval: 10 * time.Second, HealthTimeout: 3 * time.Second,
		Misses: 3, BackoffMin: time.Second, BackoffMax: 2 * time.Minute, Starts: 5, StartWindow: 10 * time.Minute,
		Remove: 30 * time.Second, Exit: 5 * time.Second,
	}, defaults())
	require.Equal(t, time.Hour, Limits{Exit: time.Hour}.withDefaults().Exit)
}

func TestMachine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events []event
		want   State
	}{
		"described":                         {[]event{eventDescribed}, StateConfiguring},
		"configured":                        {[]event{eventDescribed, eventHealthy}, StateReady},
		"sick from the start":               {[]event{eventDescribed, eventSick}, StateUnhealthy},
		"sick":                              {[]event{eventDescribed, eventHealthy, eventSick}, StateUnhealthy},
		"well again":                        {[]event{eventDescribed, eventSick, eventHealthy}, StateReady},
		"two misses":                        {[]event{eventDescribed, eventHealthy, eventMissed, eventMissed}, StateReady},
		"three misses":                      {[]event{eventDescribed, eventHealthy, eventMissed, eventMissed, eventMissed}, StateBackoff},
		"three misses when sick":            {[]event{eventDescribed, eventSick, eventMissed, eventMissed, eventMissed}, StateBackoff},
		"an answer forgives misses":         {[]event{eventDescribed, eventHealthy, eventMissed, eventMissed, eventHealthy, eventMissed, eventMissed}, StateReady},
		"a bad answer forgives misses, too": {[]event{eventDescribed, eventHealthy, eventMissed, eventMissed, eventSick, eventMissed, eventMissed}, StateUnhealthy},
		"lost at the start":                 {[]event{eventLost}, StateBackoff},
		"lost":                              {[]event{eventDescribed, eventHealthy, eventLost}, StateBackoff},
		"due":                               {[]event{eventLost, eventDue}, StateStarting},
		"refused":                           {[]event{eventRefused}, StateFailed},
		"failed is final":                   {[]event{eventRefused, eventDue, eventLost, eventHealthy, eventDescribed}, StateFailed},
		"stopped":                           {[]event{eventDescribed, eventHealthy, eventStop}, StateDraining},
		"failed and stopped":                {[]event{eventRefused, eventStop}, StateDraining},
		"draining is final":                 {[]event{eventStop, eventLost, eventDue, eventHealthy, eventRefused}, StateDraining},
		"due too late":                      {[]event{eventDescribed, eventDue}, StateConfiguring},
		"five starts":                       {fail(5), StateFailed},
		"four starts":                       {fail(4), StateBackoff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(defaults(), now)
			for _, e := range c.events {
				m.on(e, now)
			}
			require.Equal(t, c.want, m.state)
		})
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	m := newMachine(defaults(), now)
	require.Equal(t, now, m.since)
	for i, step := range []struct {
		e       event
		changes bool
	}{
		{eventDescribed, true},
		{eventHealthy, true},
		{eventHealthy, false},
		{eventMissed, false},
		{eventSick, true},
		{eventLost, true},
		{eventLost, false},
		{eventDue, true},
		{eventDescribed, true},
		{eventRefused, true},
		{eventLost, false},
	} {
		before, at := m.since, now.Add(time.Duration(i+1)*time.Second)
		m.on(step.e, at)
		if step.changes {
			before = at
		}
		require.Equal(t, before, m.since, "step %d: %s", i, step.e)
	}
}

// fail are the events of n starts that come to nothing.
func fail(n int) []event {
	events := []event{eventLost}
	for range n - 1 {
		events = append(events, eventDue, eventLost)
	}
	return events
}

func TestStartsThatAreLongAgoDoNotCount(t *testing.T) {
	t.Parallel()
	m := newMachine(defaults(), now)
	at := now
	for range 100 {
		require.Equal(t, StateBackoff, m.on(eventLost, at))
		at = at.Add(2*time.Minute + 30*time.Second) // four in ten minutes, always
		m.on(eventDue, at)
	}
	require.Equal(t, 101, m.total)
	require.LessOrEqual(t, len(m.starts), 5, "what does not count is forgotten")
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	limits := defaults()
	limits.Starts = 1000
	m := newMachine(limits, now)
	for i, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 120, 120} {
		want := time.Duration(seconds) * time.Second
		m.on(eventLost, now)
		require.Equal(t, want/2, m.backoff(0), "wait %d", i)
		require.InDelta(t, want, m.backoff(0.999999), float64(time.Millisecond), "wait %d", i)
		m.on(eventDue, now)
	}
	for range 100 { // shifts beyond the width of a duration
		m.on(eventLost, now)
		m.on(eventDue, now)
	}
	require.Equal(t, time.Minute, m.backoff(0))
}

func TestBackoffStartsAfreshAfterAGoodTime(t *testing.T) {
	t.Parallel()
	limits := defaults()
	limits.Starts = 1000
	for name, c := range map[string]struct {
		up   time.Duration
		want time.Duration
	}{"up for the window": {limits.StartWindow, time.Second}, "up for less": {limits.StartWindow - 1, 8 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(limits, now)
			for _, e := range append(fail(3), eventDue, eventDescribed, eventSick) {
				m.on(e, now)
			}
			m.on(eventHealthy, now.Add(c.up/2))
			m.on(eventLost, now.Add(c.up))
			require.Equal(t, c.want/2, m.backoff(0))
		})
	}
}
