package logarchive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logarchive"
)

func TestKeyIsThatOfTheContract(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0190d8a4-0000-7000-8000-000000000001")
	oslo := time.FixedZone("", 7200)
	for _, one := range []struct{ workspace, task, want string }{
		{"production", "deploy", "production/deploy/2025/03/15/2025-03-15T14-30-45_" + id.String() + ".jsonl.gz"},
		{"production", "_hook:deploy/notify", "production/_hook:deploy/notify/2025/03/15/2025-03-15T14-30-45_" + id.String() + ".jsonl.gz"},
		{"..", "../../.././x//", "%2E%2E/%2E%2E/%2E%2E/%2E%2E/%2E/x/%/%/2025/03/15/2025-03-15T14-30-45_" + id.String() + ".jsonl.gz"},
		{"", "/etc", "%/%/etc/2025/03/15/2025-03-15T14-30-45_" + id.String() + ".jsonl.gz"},
	} {
		require.Equal(t, one.want, logarchive.Key(one.workspace, one.task, time.Date(2025, 3, 15, 16, 30, 45, 999, oslo), id))
	}
}

// TestArchivedIsReadAsItWas holds every kind of query against the log that was archived, in one or several goes.
func TestArchivedIsReadAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBundle(t)
		b.SetMemberSize(rapid.SampledFrom([]int64{100, 10_000, 1 << 20}).Draw(rt, "member"))
		for range rapid.IntRange(1, 3).Draw(rt, "uploads") {
			for range rapid.IntRange(1, 4).Draw(rt, "batches") {
				step := rapid.SampledFrom([]string{"a", "b", "c d"}).Draw(rt, "step")
				repeated := rapid.SampledFrom([]string{"x", "long", "\x00\n"}).Draw(rt, "repeated")
				text := rapid.StringN(0, 20, -1).Draw(rt, "text") + strings.Repeat(repeated, rapid.SampledFrom([]int{0, 10, 1500}).Draw(rt, "times"))
				b.lines(step, rapid.SampledFrom([]int{1, 3, 30}).Draw(rt, "lines"), text)
			}
			b.put()
		}
		local := b.view()
		defer func() { require.NoError(t, local.Close()) }()
		require.Equal(t, all(t, b.view()), gunzip(t, b.store.Object(key)), "it is gzip for everybody")
		a := rapid.SampledFrom([]*logarchive.Archive{b.Archive, b.another()}).Draw(rt, "reader")
		v, ok, err := a.View(t.Context(), key, local.Index.Lines)
		require.NoError(t, err)
		require.True(t, ok)
		defer func() { require.NoError(t, v.Close()) }()
		for range 5 {
			q := joblog.Query{
				Step:  rapid.SampledFrom([]string{"", "a", "b", "c d", "nope"}).Draw(rt, "step"),
				Q:     rapid.SampledFrom([]string{"", "x", "gl", "\n"}).Draw(rt, "q"),
				From:  rapid.Int64Range(0, local.Index.Lines+2).Draw(rt, "from"),
				Limit: rapid.Int64Range(0, 5).Draw(rt, "limit"), Tail: rapid.Int64Range(0, 3).Draw(rt, "tail"),
			}
			want, err := local.Read(t.Context(), q)
			require.NoError(t, err)
			got, err := v.Read(t.Context(), q)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want.Logs, got.Logs), "%+v", q)
			want.Logs, got.Logs = nil, nil
			require.Equal(t, want, got, "%+v", q)
		}
	})
}

// random is a text that does not become short.
func random(n int) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for b.Len() < n {
		_, _ = fmt.Fprintf(&b, "%x", r.Uint64())
	}
	return b.String()
}

// TestAPageIsOneCall counts what is asked of the log store.
func TestAPageIsOneCall(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.SetMemberSize(256 << 10)
	b.lines("a", 4000, random(1<<10)) // 16 members
	require.Equal(t, int64(4000), b.put().Lines)
	for _, q := range []joblog.Query{{Limit: 10}, {From: 300, Limit: 1}, {Tail: 5}} {
		v, ok, err := b.another().View(t.Context(), key, 4000)
		require.NoError(t, err)
		require.True(t, ok)
		before := b.store.Gets.Load()
		page, err := v.Read(t.Context(), q)
		require.NoError(t, err)
		require.NotEmpty(t, page.Logs)
		require.Equal(t, int64(1), b.store.Gets.Load()-before)
		require.NoError(t, v.Close())
	}
	before := b.store.Gets.Load()
	require.Equal(t, all(t, b.view()), archived(t, b.another(), 4000))
	require.LessOrEqual(t, b.store.Gets.Load()-before, int64(4), "index, first member, and the rest at once")
}

// TestStreamThatBreaks has the log store go away while a log is read from front to back, and come back.
func TestStreamThatBreaks(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.SetMemberSize(256 << 10)
	b.lines("a", 6000, random(1<<10)) // 24 members
	b.put()
	v, ok, err := b.another().View(t.Context(), key, 6000)
	require.NoError(t, err)
	require.True(t, ok)
	page, err := v.Read(t.Context(), joblog.Query{Limit: 600}) // the rest is being read
	require.NoError(t, err)
	text := page.Logs
	b.store.Away(true)
	for err == nil { // what was read ahead is there
		if page, err = v.Read(t.Context(), joblog.Query{From: page.Next, Limit: 100}); err == nil {
			text = append(text, page.Logs...)
		}
	}
	requireUnavailable(t, err, "cannot be read now")
	b.store.Away(false)
	page, err = v.Read(t.Context(), joblog.Query{From: int64(bytes.Count(text, []byte("\n")) + 1)})
	require.NoError(t, err)
	require.True(t, bytes.Equal(all(t, b.view()), append(text, page.Logs...)))
	require.NoError(t, v.Close())
}

// TestReadersShare has many read the same at a time.
func TestReadersShare(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.lines("a", 30, random(1<<10)) // one member
	b.put()
	a := b.another()
	want := all(t, b.view())
	before := b.store.Gets.Load()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if got := archived(t, a, 30); !bytes.Equal(got, want) {
				t.Error("another log was read")
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, b.store.Gets.Load()-before, int64(21), "the member is read once")
}

// TestLaterLinesAreAdded archives a log that has grown, also from what is in the archive itself.
func TestLaterLinesAreAdded(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.lines("a", 100, random(1<<10))
	b.put()
	first := b.store.Object(key)
	old, ok, err := b.View(t.Context(), key, 100)
	require.NoError(t, err)
	require.True(t, ok)
	b.lines("b", 1, "late")
	require.Equal(t, int64(101), b.put().Lines)
	require.True(t, bytes.HasPrefix(b.store.Object(key), first), "readers of the old index go on")
	puts := b.store.Puts.Load()
	require.Equal(t, logarchive.Stored{Lines: 101}, b.put(), "there is nothing to do")
	require.Equal(t, puts, b.store.Puts.Load())
	want := all(t, b.view())
	require.Equal(t, want, archived(t, b.another(), 101))
	require.Equal(t, want, archived(t, b.Archive, 101))

	require.NoError(t, b.local.Remove(t.Context(), b.job))
	require.Equal(t, int64(101), b.put().Lines, "an object does not get shorter")
	b.lines("c", 2, "later still")
	whole := joblog.Join(old, mustSkip(t, b, 2))
	require.Equal(t, int64(102), whole.Index.Lines)
	later := b.view()
	defer func() { require.NoError(t, later.Close()) }()
	again, ok, err := b.View(t.Context(), key, 101)
	require.NoError(t, err)
	require.True(t, ok)
	joined := joblog.Join(again, later)
	stored, err := b.Put(t.Context(), key, joined)
	require.NoError(t, err)
	require.Equal(t, int64(103), stored.Lines)
	want = append(want, all(t, b.view())...)
	require.Equal(t, want, archived(t, b.another(), 103))
	require.NoError(t, again.Close())
	require.NoError(t, whole.Close())
}

// mustSkip is the local log behind all but its last line.
func mustSkip(t *testing.T, b *bundle, lines int64) *joblog.View {
	t.Helper()
	v := b.view()
	require.Equal(t, lines, v.Index.Lines)
	rest, err := joblog.Skip(t.Context(), v, 0)
	require.NoError(t, err)
	return rest
}

// TestForeignObjects reads what has no index: one member, with and without a newline at its end, and what a crash has left.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.lines("a", 2000, "hello")
	want := all(t, b.view())
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(bytes.TrimSuffix(want, []byte("\n")))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	b.store.Set(key, packed.Bytes())
	for range 2 {
		require.Equal(t, want, archived(t, b.Archive, 0))
	}
	require.Equal(t, int64(3), b.store.Gets.Load(), "the object is read once, and its index looked for each time")

	require.NoError(t, b.local.Remove(t.Context(), b.job))
	b.lines("a", 3, "hello")
	require.Equal(t, logarchive.Stored{Lines: 2000}, b.put(), "what is there is more than we have")
	require.Equal(t, packed.Bytes(), b.store.Object(key))
	b.lines("a", 2000, "hello")
	require.Equal(t, int64(2003), b.put().Lines)
	require.Equal(t, []string{key, key + ".idx"}, b.store.Objects())
	require.Equal(t, all(t, b.view()), archived(t, b.Archive, 2003))
}

// TestNothingThere tells a log that is not in the archive from one that should be, and from an archive that is away.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	v, ok, err := b.View(t.Context(), key, 0)
	require.NoError(t, err)
	require.False(t, ok)
	require.Nil(t, v)
	_, _, err = b.View(t.Context(), key, 1)
	requireUnavailable(t, err, key+" has to be restored")
	b.lines("a", 200, random(1<<10))
	b.put()
	a := b.another()
	v, ok, err = a.View(t.Context(), key, 200)
	require.NoError(t, err)
	require.True(t, ok)
	b.store.Away(true)
	_, err = v.Read(t.Context(), joblog.Query{Limit: 1})
	requireUnavailable(t, err, "cannot be read now")
	_, _, err = b.another().View(t.Context(), key, 0)
	requireUnavailable(t, err, "cannot be read now")
	b.store.Away(false)
	require.Equal(t, all(t, b.view()), all(t, v), "the same view goes on")
	_, _, err = a.View(t.Context(), key, 201)
	requireUnavailable(t, err, "damaged")
}

// TestStoreHangs has calls, and what is read of an object, never come back.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.SetMemberSize(256 << 10)
	b.lines("a", 1000, random(1<<10))
	b.put()
	b.lines("a", 1000, random(1<<10))
	a := b.another()
	a.SetPatience(10 * time.Millisecond)
	v, ok, err := a.View(t.Context(), key, 1000)
	require.NoError(t, err)
	require.True(t, ok)
	_, err = v.Read(t.Context(), joblog.Query{Limit: 300}) // by the second member the rest is being read
	require.NoError(t, err)
	b.store.Hang(true)
	_, err = v.Read(t.Context(), joblog.Query{From: 900})
	requireUnavailable(t, err, "cannot be read now")
	_, _, err = b.another().View(canceled(t), key, 0)
	requireUnavailable(t, err, "cannot be read now")
	local := b.view()
	_, err = a.Put(t.Context(), key, local)
	require.ErrorContains(t, err, "has sent nothing for too long")
	b.store.Hang(false)
	require.NoError(t, v.Close())
	stored, err := a.Put(t.Context(), key, local)
	require.NoError(t, err)
	require.Equal(t, int64(2000), stored.Lines)

	b.store.Hang(true)
	hangs := a.PutObject(t.Context(), "another", local)
	require.ErrorContains(t, hangs, "has taken nothing for too long")
	require.NoError(t, local.Close())
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func requireUnavailable(t *testing.T, err error, message string) {
	t.Helper()
	require.Error(t, err)
	e, ok := errors.AsType[*core.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "log_archive_unavailable", e.Reason)
	require.Equal(t, core.CodeUnavailable, e.Code)
	require.Contains(t, e.Message, message)
}

// TestDamage changes a byte of an object, cuts it, and takes its index away.
func TestDamage(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.lines("a", 200, random(1<<10))
	b.put()
	whole, index := b.store.Object(key), b.store.Object(key+".idx")
	read := func() error {
		v, _, err := b.another().View(t.Context(), key, 200)
		if err != nil {
			return err
		}
		defer func() { require.NoError(t, v.Close()) }()
		_, err = v.Read(t.Context(), joblog.Query{})
		return err
	}
	for _, at := range []int{0, 100, len(whole) / 2, len(whole) - 3} {
		changed := bytes.Clone(whole)
		changed[at] ^= 0x55
		b.store.Set(key, changed)
		requireUnavailable(t, read(), "damaged")
	}
	for _, length := range []int{0, 100, len(whole) - 1} {
		b.store.Set(key, whole[:length])
		requireUnavailable(t, read(), "damaged")
		b.store.Set(key+".idx", []byte("no index"))
		requireUnavailable(t, read(), "damaged")
		b.store.Set(key+".idx", index)
	}
	require.Equal(t, int64(200), b.put().Lines, "and stored anew from what is on disk")
	require.NoError(t, read())
	b.store.Set(key+".idx", index[:len(index)-9])
	require.NoError(t, read(), "without its index it is read as a whole")
}
