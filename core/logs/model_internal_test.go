package logs

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
)

// model is replicas that die, stand still and come back while workers send lines, and what has to be true of the log in the end.
type model struct {
	*cluster
	job   uuid.UUID
	acked map[string]int64 // of each step: lines that were acknowledged
}

var steps = []string{"a", "b", "c"}

// TestEveryLineOnceAndInOrder kills replicas between storing lines and acknowledging them, cuts them off from the others, lets these
// take over, and brings them back, in random order. In the end each line that was acknowledged is in the log once, in order, whichever replica it is read
// from; what was sent last and not acknowledged may be there.
func TestEveryLineOnceAndInOrder(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	rapid.Check(t, func(r *rapid.T) {
		m := &model{cluster: newCluster(t.Context(), r, store, conn, t.TempDir(), 3), acked: map[string]int64{}}
		m.job = m.cluster.job()
		defer m.stopAll()
		r.Repeat(map[string]func(*rapid.T){
			"send":   m.send,
			"kill":   m.kill,
			"expire": func(r *rapid.T) { m.any(r).expire() },
			"start": func(r *rapid.T) {
				if one := m.any(r); one.logs == nil {
					one.start()
				}
			},
			"cut off": func(r *rapid.T) {
				one := m.any(r)
				one.isolated = !one.isolated
			},
			"see":  m.seeAndCrash,
			"look": m.look,
		})
		m.settleAll()
		for _, one := range m.replicas {
			m.check(one)
		}
	})
}

func (m *model) any(r *rapid.T) *member { return rapid.SampledFrom(m.replicas).Draw(r, "replica") }

func (m *model) stopAll() {
	for _, one := range m.replicas {
		if one.logs != nil {
			one.stop()
		}
	}
}

// send has a worker send its next lines to a replica, which may be lost with its answer, or die after it has stored them.
func (m *model) send(r *rapid.T) {
	to := m.any(r)
	if to.logs == nil {
		r.Skip("down")
	}
	step := rapid.SampledFrom(steps).Draw(r, "step")
	first := m.acked[step] + 1
	last := first + rapid.Int64Range(0, 3).Draw(r, "more")
	fate := rapid.SampledFrom([]string{"", "", "", "answer lost", "owner dies", "peer's answer lost", "before StartLog", "after StartLog"}).Draw(r, "fate")
	to.failing, to.lost = fate, fate == "peer's answer lost"
	err := to.logs.Append(m.ctx, m.job, step, 1, first, batch(step, first, last))
	to.failing, to.lost = "", false
	if fate == "owner dies" {
		segments, err := m.store.LogSegments(m.ctx, m.job)
		require.NoError(m, err)
		if len(segments) > 0 {
			if owner := m.member(segments[len(segments)-1].Replica); owner.logs != nil {
				owner.stop()
			}
		}
		return
	}
	switch {
	case err == nil && fate != "answer lost":
		m.acked[step] = last
	case err != nil && !errors.Is(err, errCut):
		require.Equal(m, core.CodeUnavailable, core.ErrorCode(err), "%v", err)
	}
}

func (m *model) kill(r *rapid.T) {
	if one := m.any(r); one.logs != nil {
		one.stop()
	}
}

// seeAndCrash has a replica look at what others have taken over; it may fail or die in the middle of closing
// that.
func (m *model) seeAndCrash(r *rapid.T) {
	one := m.any(r)
	if one.logs == nil {
		r.Skip("down")
	}
	one.failing = rapid.SampledFrom([]string{"", "", "before SettleLog", "after SettleLog", "before CloseLog", "after CloseLog"}).Draw(r, "failing")
	if !one.see() && rapid.Bool().Draw(r, "dies") {
		one.stop()
	}
	one.failing = ""
}

// look reads the log through a replica: what is there is in order, and nothing is there twice but what is not settled.
func (m *model) look(r *rapid.T) {
	one := m.any(r)
	if one.logs == nil {
		r.Skip("down")
	}
	v, err := one.logs.View(m.ctx, m.job)
	if err != nil {
		require.Equal(m, core.CodeUnavailable, core.ErrorCode(err), "%v", err)
		return
	}
	require.NoError(m, v.Close())
}

// settleAll brings everybody back, and has them do what they do in a while.
func (m *model) settleAll() {
	for _, one := range m.replicas {
		if one.isolated = false; one.logs == nil {
			one.start()
		}
	}
	for range 2 {
		for _, one := range m.replicas {
			require.True(m, one.see())
		}
	}
}

func (m *model) check(one *member) {
	texts, total := one.read(m.job)
	all := int64(len(texts["_server"]))
	for _, step := range steps {
		got := texts[step]
		require.GreaterOrEqual(m, int64(len(got)), m.acked[step], "lines of %s", step)
		require.Equal(m, numbers(len(got)), got, "lines of %s", step)
		all += int64(len(got))
	}
	require.Equal(m, total, all)
	segments, err := m.store.LogSegments(m.ctx, m.job)
	require.NoError(m, err)
	first := int64(1)
	for i, segment := range segments {
		require.Equal(m, first, segment.First, "segment %d", segment.N)
		require.Equal(m, i < len(segments)-1, segment.Lines >= 0)
		first += segment.Lines
	}
	require.False(m, slices.ContainsFunc(texts["_server"], func(text string) bool { return text == "" }))
}
