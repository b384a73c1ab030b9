package scheduler_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/tally"
)

func TestFires(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:00:30Z", map[string]*core.Trigger{
		"hourly": {Cron: "0 * * * *", Input: map[string]any{"n": 7}},
		"early":  {Cron: "30 10 * * *", Timezone: "Europe/Oslo"},
		"never":  {Cron: "0 0 30 2 *"},
	})
	b.start()
	require.Empty(t, b.jobs(), "what is new does not fire for the past")
	b.pass(at(t, "2026-03-02T10:59:59Z"))
	require.Empty(t, b.jobs())
	b.pass(at(t, "2026-03-02T11:00:00Z"))
	fires := b.fires("ws", "hourly")
	require.Len(t, fires, 1)
	require.Zero(t, fires[0].Missed)
	require.Empty(t, fires[0].Reason)
	job, ok := b.jobs()[fires[0].JobID.String()]
	require.True(t, ok)
	require.Equal(t, core.SourceTrigger, job.SourceType)
	require.Equal(t, "ws/hourly", job.SourceID)
	stored, _, err := b.store.GetJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"n": 7}`, string(stored.Input))
	b.pass(at(t, "2026-03-03T09:30:00Z"))
	require.Equal(t, []string{"2026-03-03T09:30:00Z"}, b.instants("early"))
}

func TestMissedFiresAreMadeUpForOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:00:30Z", map[string]*core.Trigger{"hourly": {Cron: "0 * * * *"}, "often": {Cron: "* * * * * *"}})
	b.start()()
	b.clock.set(at(t, "2026-03-05T10:20:00Z"))
	b.start()
	require.Equal(t, []string{"2026-03-05T10:00:00Z"}, b.instants("hourly"), "the last of those that were missed")
	require.Equal(t, 71, b.fires("ws", "hourly")[0].Missed)
	require.Equal(t, []string{"2026-03-05T10:20:00Z"}, b.instants("often"))
	require.Equal(t, core.MaxMissed, b.fires("ws", "often")[0].Missed)
	require.Equal(t, map[tally.Labels]int64{{}: int64(71 + core.MaxMissed)}, b.counted.Missed.Counts())
	require.Equal(t, map[tally.Labels]int64{{tally.FiredJob}: 2}, b.counted.Fires.Counts())
	_, lag, _ := b.counted.Lag.Read()
	require.InDelta(t, 20*60, lag, 0.1, "of the hourly one: the other is for this second")
	b.pass(at(t, "2026-03-05T11:00:00Z"))
	require.Equal(t, []string{"2026-03-05T10:00:00Z", "2026-03-05T11:00:00Z"}, b.instants("hourly"))
}

func TestClockIsSet(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:50:00Z", map[string]*core.Trigger{"quarterly": {Cron: "*/15 * * * *"}})
	b.start()
	for _, step := range []struct {
		now  string
		want []string // that are new
	}{
		{"2026-03-02T11:00:00Z", []string{"2026-03-02T11:00:00Z"}},
		{"2026-03-02T12:00:00Z", []string{"2026-03-02T12:00:00Z"}}, // an hour ahead: once
		{"2026-03-02T11:01:00Z", nil},                              // and back
		{"2026-03-02T11:15:00Z", nil},                              // which is made up for already
		{"2026-03-02T12:00:00Z", nil},
		{"2026-03-02T12:15:00Z", []string{"2026-03-02T12:15:00Z"}},
		{"2026-03-02T11:15:00Z", nil}, // an hour back
		{"2026-03-02T12:15:01Z", nil},
		{"2026-03-02T12:30:00Z", []string{"2026-03-02T12:30:00Z"}},
	} {
		before := b.instants("quarterly")
		b.pass(at(t, step.now))
		require.Equal(t, append(before, step.want...), b.instants("quarterly"), "at %s", step.now)
	}
	require.Len(t, b.jobs(), 4)
	b.clock.mu.Lock()
	defer b.clock.mu.Unlock()
	require.Equal(t, 15*time.Second, b.clock.longest, "timers do not notice that a clock is set: it is looked at now and then")
}

func TestClockIsSetBackWhileNobodyRuns(t *testing.T) {
	t.Parallel()
	triggers := map[string]*core.Trigger{"a": {Cron: "0 * * * *"}}
	b := newBundle(t, "2026-03-02T10:50:00Z", triggers)
	stop := b.start()
	b.pass(at(t, "2026-03-02T11:00:00Z"))
	b.load("ws", content(nil))
	b.settle()
	stop()
	b.clock.set(at(t, "2026-03-02T10:30:00Z"))
	b.load("ws", content(triggers))
	b.start()
	b.pass(at(t, "2026-03-02T11:00:00Z"))
	require.Equal(t, []string{"2026-03-02T11:00:00Z"}, b.instants("a"), "an instant fires once")
	b.pass(at(t, "2026-03-02T12:00:00Z"))
	require.Equal(t, []string{"2026-03-02T11:00:00Z", "2026-03-02T12:00:00Z"}, b.instants("a"))
}

func TestReload(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:00:30Z", map[string]*core.Trigger{"a": {Cron: "0 12 * * *"}})
	b.start()
	change := func(triggers map[string]*core.Trigger) {
		b.load("ws", content(triggers))
		b.settle()
	}
	change(map[string]*core.Trigger{"a": {Cron: "0 12 * * *"}, "b": {Cron: "5 10 * * *"}})
	b.pass(at(t, "2026-03-02T10:05:00Z"))
	require.Equal(t, []string{"2026-03-02T10:05:00Z"}, b.instants("b"), "a new trigger is noticed at once")
	change(map[string]*core.Trigger{"a": {Cron: "0 11 * * *"}})
	b.pass(at(t, "2026-03-02T11:00:00Z"))
	require.Equal(t, []string{"2026-03-02T11:00:00Z"}, b.instants("a"), "another time counts from now on")
	b.pass(at(t, "2026-03-03T10:30:00Z"))
	require.Len(t, b.instants("b"), 1, "a trigger that is gone does not fire")
	off := content(map[string]*core.Trigger{"a": {Cron: "0 11 * * *"}})
	off.Triggers["a"].Enabled = false
	b.load("ws", off)
	b.settle()
	b.pass(at(t, "2026-03-03T11:30:00Z"))
	change(map[string]*core.Trigger{"a": {Cron: "0 11 * * *"}})
	require.Len(t, b.instants("a"), 1, "what passed while it was switched off was not missed")
	schedules, err := b.store.Schedules(t.Context())
	require.NoError(t, err)
	require.Len(t, schedules, 1)
	require.Equal(t, at(t, "2026-03-04T11:00:00Z"), schedules[0].NextFire.UTC())
}

func TestWorkspaceThatIsNotLoadedKeepsItsSchedules(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:00:30Z", nil)
	other := func() *core.Workspace { return content(map[string]*core.Trigger{"a": {Cron: "0 11 * * *"}}) }
	b.load("other", other())
	b.start()()
	b.load("other", nil)
	b.clock.set(at(t, "2026-03-02T11:30:00Z"))
	b.start()
	require.Empty(t, b.jobs())
	b.load("other", other())
	b.settle()
	require.Len(t, b.fires("other", "a"), 1, "it was missed, and is made up for")
	b.load("other", nil)
	b.settle()
	b.pass(at(t, "2026-03-03T11:30:00Z"))
	require.Len(t, b.jobs(), 1)
	b.load("other", other())
	b.settle()
	require.Len(t, b.fires("other", "a"), 2)
	b.mu.Lock()
	delete(b.contents, "other")
	b.mu.Unlock()
	b.load("ws", content(nil))
	b.settle()
	schedules, err := b.store.Schedules(t.Context())
	require.NoError(t, err)
	require.Empty(t, schedules, "a workspace that was removed leaves none")
}

func TestFireInVain(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:59:59Z", map[string]*core.Trigger{
		"wrong": {Cron: "0 * * * *", Input: map[string]any{"n": "many"}},
		"lost":  {Cron: "0 * * * *", Task: "gone"},
		"good":  {Cron: "0 * * * *"},
	})
	b.start()
	b.pass(at(t, "2026-03-02T11:00:00Z"))
	require.Len(t, b.jobs(), 1)
	for trigger, reason := range map[string]string{"wrong": "n", "lost": "Task not found"} {
		fires := b.fires("ws", trigger)
		require.Len(t, fires, 1)
		require.Equal(t, uuid.Nil, fires[0].JobID)
		require.Contains(t, fires[0].Reason, reason)
	}
	b.pass(at(t, "2026-03-02T12:00:00Z"))
	require.Len(t, b.fires("ws", "wrong"), 2, "it is tried the next time, and not again and again")
}

// Two schedulers that both believe to lead, as when the lock of one was lost, fire each instant once.
func TestNeverTwice(t *testing.T) {
	t.Parallel()
	b := newBundle(t, "2026-03-02T10:00:00Z", map[string]*core.Trigger{"a": {Cron: "*/10 * * * *"}, "b": {Cron: "*/20 * * * *"}})
	b.start()
	b.start()
	now := at(t, "2026-03-02T10:00:00Z")
	for range 30 {
		now = now.Add(5 * time.Minute)
		b.pass(now)
		b.settle() // the other one
	}
	require.Len(t, b.instants("a"), 15)
	require.Len(t, b.instants("b"), 7)
	require.Len(t, b.jobs(), 22)
}
