package logkeep_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/joblog"
)

// TestModel does to a log whatever can be done to it, in any order: it is always read as it was written.
func TestModel(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{bundle: b, rt: rt, id: b.job()}
		actions := []func(){m.append, m.finish, m.uploaded, m.letGo, m.restart, m.lose, m.wait}
		for range rapid.IntRange(1, 10).Draw(rt, "actions") {
			rapid.SampledFrom(actions).Draw(rt, "action")()
			m.check()
		}
		if !m.ended {
			m.finish()
		}
		m.uploaded()
	})
}

// model is a log, and what has to be in it.
type model struct {
	*bundle
	rt    *rapid.T
	id    uuid.UUID
	want  string
	lines int
	ended bool
}

func (m *model) check() {
	v, err := m.View(m.t.Context(), m.id)
	require.NoError(m.t, err)
	defer func() { require.NoError(m.t, v.Close()) }()
	from := rapid.Int64Range(1, int64(m.lines)+1).Draw(m.rt, "from")
	page, err := v.Read(m.t.Context(), joblog.Query{From: from})
	require.NoError(m.t, err)
	require.Equal(m.t, int64(m.lines), page.Total)
	rest := m.want
	for range from - 1 {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	require.Equal(m.t, rest, string(page.Logs))
}

func (m *model) append() {
	var batch []byte
	for range rapid.SampledFrom([]int{1, 2, 1500}).Draw(m.rt, "lines") {
		m.lines++
		batch = joblog.AppendLine(batch, "a", 1, joblog.Stdout, "2026-01-02T03:04:05.000000Z", fmt.Sprint("line ", m.lines))
	}
	require.NoError(m.t, m.Append(m.t.Context(), m.id, "a", 1, 0, batch))
	m.want += string(batch)
}

func (m *model) finish() {
	if !m.ended {
		m.end(m.id)
		m.ended = true
	}
}

// uploaded waits until the archive has all of it.
func (m *model) uploaded() {
	if !m.ended || m.lines == 0 {
		return
	}
	m.eventually("all of it is archived", func() bool {
		objects := strings.Join(m.store.Objects(), " ")
		return strings.Contains(objects, key(m.id)+".idx") && m.object(m.id) == m.want
	})
	m.archived(m.id)
}

// letGo lets go of the local copies, if all of it is archived.
func (m *model) letGo() {
	list, err := m.db.LocalLogs(m.t.Context(), m.bundle.id, []uuid.UUID{m.id})
	require.NoError(m.t, err)
	for _, one := range list {
		if !one.Dropped && one.First <= one.Archived {
			_, err := m.Drop(m.t.Context(), one)
			require.NoError(m.t, err)
		}
	}
}

func (m *model) restart() {
	m.stop()
	m.open()
	m.run()
}

// lose removes the files of what is archived while the replica is down.
func (m *model) lose() {
	if !m.ended || m.lines == 0 {
		return
	}
	m.uploaded()
	m.stop()
	files, err := filepath.Glob(filepath.Join(m.dir, "logs", m.id.String()+"*"))
	require.NoError(m.t, err)
	for _, file := range files {
		require.NoError(m.t, os.Remove(file))
	}
	m.open()
	require.NoError(m.t, m.Tidy(m.t.Context()))
	m.run()
}

// wait waits for a line that is there.
func (m *model) wait() {
	if m.lines > 0 {
		require.NoError(m.t, m.Wait(m.t.Context(), m.id, int64(m.lines)-1))
	}
}
