package logarchive_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logarchive"
	"github.com/stroem/stroem/tests/logdir"
)

const key = "ws/task/2026/01/02/log.jsonl.gz"

// bundle is an archive, and a log that is kept on disk.
type bundle struct {
	*logarchive.Archive
	t     testing.TB
	store *logdir.Store
	local *joblog.Store
	job   uuid.UUID
}

func newBundle(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{t: t, store: logdir.New(t), job: uuid.New()}
	b.Archive = b.another()
	local, err := joblog.Open(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, local.Close()) })
	b.local = local
	return b
}

// another is an archive of the same store that has not read anything.
func (b *bundle) another() *logarchive.Archive {
	b.t.Helper()
	a, err := logarchive.New(b.store, filepath.Join(b.t.TempDir(), "copies"))
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, a.Close()) })
	return a
}

// lines appends so many lines of a step, each with a text.
func (b *bundle) lines(step string, n int, text string) {
	b.t.Helper()
	var batch []byte
	for i := range n {
		batch = joblog.AppendLine(batch, step, 1, joblog.Stdout, "2026-01-02T03:04:05.000000Z", text)
		if len(batch) > 1<<20 || i == n-1 {
			require.NoError(b.t, b.local.Append(b.t.Context(), b.job, step, 1, 0, batch))
			batch = batch[:0]
		}
	}
}

func (b *bundle) view() *joblog.View {
	b.t.Helper()
	v, err := b.local.View(b.t.Context(), b.job)
	require.NoError(b.t, err)
	return v
}

// put archives the log as it is.
func (b *bundle) put() logarchive.Stored {
	b.t.Helper()
	v := b.view()
	defer func() { require.NoError(b.t, v.Close()) }()
	stored, err := b.Put(b.t.Context(), key, v)
	require.NoError(b.t, err)
	return stored
}

// all reads the whole log.
func all(t testing.TB, v *joblog.View) []byte {
	t.Helper()
	defer func() { require.NoError(t, v.Close()) }()
	var out bytes.Buffer
	_, err := v.Copy(t.Context(), &out, joblog.Query{})
	require.NoError(t, err)
	return out.Bytes()
}

// archived reads the whole log from the archive, which has it.
func archived(t testing.TB, a *logarchive.Archive, lines int64) []byte {
	t.Helper()
	v, ok, err := a.View(t.Context(), key, lines)
	require.NoError(t, err)
	require.True(t, ok)
	return all(t, v)
}

// gunzip is how everybody else reads an object.
func gunzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	content, err := io.ReadAll(z)
	require.NoError(t, err)
	return content
}
