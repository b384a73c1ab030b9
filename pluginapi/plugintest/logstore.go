package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// LogStoreOptions says what the suite cannot find out itself.
type LogStoreOptions struct {
	Config       json.RawMessage // settings of the plugin; nil is {}
	BadConfig    json.RawMessage // settings to be refused; nil: not covered
	Unconfigured bool            // there are no settings to work with: only what needs none is covered
}

// TestLogStore runs the suite. open makes an instance for each case; instances may share what they store.
func TestLogStore[S Test[S]](t S, open Opener, opts LogStoreOptions) {
	t.Helper()
	run(t, LogStoreCases(t, open, opts))
}

// LogStoreCases are the cases that a log store should pass. An instance is started to see what it is.
func LogStoreCases(t TB, open Opener, opts LogStoreOptions) []Case {
	t.Helper()
	s := &logStoreSuite{&pluginSuite{
		open: open, kind: pluginapi.KindLogStore, config: opts.Config, badConfig: opts.BadConfig,
		unconfigured: unconfigured(opts.Unconfigured),
	}}
	s.look(t)
	cases := s.cases()
	add := func(title string, rule Rule, test func(t TB)) {
		cases = append(cases, newCase(title, rule, test).unless(s.unconfigured))
	}
	add("put and get", rulePut, s.testPutGet)
	add("large object", rulePut, s.testLarge)
	add("ranges", ruleRange, s.testRanges)
	add("chunks", ruleObject, s.testChunks)
	add("replace", ruleReplace, s.testReplace)
	add("replace while read", ruleAtomic, s.testReplaceWhileRead)
	add("broken put", ruleBrokenPut, s.testBrokenPut)
	add("absent", ruleAbsent, s.testAbsent)
	add("delete", ruleDelete, s.testDelete)
	add("parallel", ruleAtomic, s.testParallel)
	return cases
}

type logStoreSuite struct{ *pluginSuite }

// store returns a fresh, configured instance and a key that nobody else uses.
func (s *logStoreSuite) store(t TB) (*Instance, pluginapi.LogStore, string) {
	t.Helper()
	i := s.open(t)
	s.configure(t, i)
	store := hostapi.NewLogStore(i, "logstore")
	key := "conformance/" + newID() + "/log.jsonl.gz"
	ctx := context.WithoutCancel(t.Context()) // the test's own context has ended when it is cleaned up
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = store.Delete(ctx, &pluginapi.DeleteRequest{Key: key})
	})
	return i, store, key
}

func put(t TB, store pluginapi.LogStore, key string, data []byte, size int64) {
	t.Helper()
	req := &pluginapi.PutRequest{Key: key, Size: size, ContentType: "application/gzip"}
	wantOK(t, "Put", store.Put(within(t, patience), req, bytes.NewReader(data)))
}

func get(t TB, store pluginapi.LogStore, req *pluginapi.GetRequest) []byte {
	t.Helper()
	r, err := store.Get(within(t, patience), req)
	wantOK(t, "Get", err)
	data, err := io.ReadAll(r)
	wantOK(t, "read", err)
	wantOK(t, "Close", r.Close())
	return data
}

func wantBytes(t TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes (%.40q), want %d (%.40q)", what, len(got), got, len(want), want)
	}
}

// pattern returns n bytes that do not repeat at the size of a chunk.
func pattern(n int) []byte {
	const period = 251 // a prime number
	data := make([]byte, period)
	for i := range data {
		data[i] = byte(i)
	}
	return bytes.Repeat(data, n/period+1)[:n]
}

func (s *logStoreSuite) putGet(t TB, size int, said int64, store pluginapi.LogStore, key string) {
	t.Helper()
	data := pattern(size)
	put(t, store, key, data, said)
	wantBytes(t, "object", get(t, store, &pluginapi.GetRequest{Key: key}), data)
	info, err := store.Stat(within(t, patience), &pluginapi.StatRequest{Key: key})
	wantOK(t, "Stat", err)
	if info.Size != int64(size) || info.ModTime.Unix() <= 0 {
		t.Errorf("Stat says %+v of an object of %d bytes", *info, size)
	}
}

func (s *logStoreSuite) testPutGet(t TB) {
	_, store, key := s.store(t)
	for _, size := range []int{0, 1, 256 << 10, 3<<20 + 17} {
		for _, said := range []int64{int64(size), -1} {
			s.putGet(t, size, said, store, key)
		}
	}
}

// testLarge stores an object that no single message could hold.
func (s *logStoreSuite) testLarge(t TB) {
	_, store, key := s.store(t)
	s.putGet(t, 20<<20+3, -1, store, key)
}

func (s *logStoreSuite) testRanges(t TB) {
	_, store, key := s.store(t)
	data := pattern(1 << 20)
	put(t, store, key, data, int64(len(data)))
	for _, r := range []struct{ offset, length, from, to int }{
		{0, 10, 0, 10},
		{5, 1, 5, 6},
		{300_000, 400_000, 300_000, 700_000},
		{1<<20 - 3, 100, 1<<20 - 3, 1 << 20},
		{1 << 19, 0, 1 << 19, 1 << 20},
		{1 << 19, -1, 1 << 19, 1 << 20},
		{1 << 20, 10, 1 << 20, 1 << 20},
		{2 << 20, 0, 1 << 20, 1 << 20},
	} {
		got := get(t, store, &pluginapi.GetRequest{Key: key, Offset: int64(r.offset), Length: int64(r.length)})
		wantBytes(t, "range", got, data[r.from:r.to])
	}
}

func (s *logStoreSuite) testReplace(t TB) {
	_, store, key := s.store(t)
	put(t, store, key, pattern(1000), 1000)
	put(t, store, key, []byte("shorter"), 7)
	wantBytes(t, "object", get(t, store, &pluginapi.GetRequest{Key: key}), []byte("shorter"))
}

// brokenReader gives some bytes and then an error.
type brokenReader struct{ data *bytes.Reader }

var errBroken = errors.New("the reader broke")

func (r brokenReader) Read(p []byte) (int, error) {
	if r.data.Len() == 0 {
		return 0, errBroken
	}
	return r.data.Read(p)
}

// lateLimit is how long a store that does not notice that a stream broke off may take to store what came.
const lateLimit = time.Second

func (s *logStoreSuite) testBrokenPut(t TB) {
	_, store, key := s.store(t)
	put(t, store, key, []byte("old"), 3)
	err := store.Put(within(t, patience), &pluginapi.PutRequest{Key: key, Size: -1}, brokenReader{bytes.NewReader(pattern(600_000))})
	if !errors.Is(err, errBroken) {
		t.Errorf("Put returned %v, want the reader's error", err)
	}
	var got []byte
	eventually(t, lateLimit, func() bool {
		got = get(t, store, &pluginapi.GetRequest{Key: key})
		return string(got) != "old"
	})
	wantBytes(t, "object after a broken put", got, []byte("old"))
}

func (s *logStoreSuite) testAbsent(t TB) {
	_, store, key := s.store(t)
	s.absent(t, store, key)
	wantOK(t, "Delete", store.Delete(within(t, patience), &pluginapi.DeleteRequest{Key: key}))
}

func (s *logStoreSuite) absent(t TB, store pluginapi.LogStore, key string) {
	t.Helper()
	_, err := store.Stat(within(t, patience), &pluginapi.StatRequest{Key: key})
	wantCode(t, "Stat", err, pluginapi.CodeNotFound)
	_, err = store.Get(within(t, patience), &pluginapi.GetRequest{Key: key})
	wantCode(t, "Get", err, pluginapi.CodeNotFound)
}

func (s *logStoreSuite) testDelete(t TB) {
	_, store, key := s.store(t)
	put(t, store, key, []byte("text"), 4)
	for range 2 {
		wantOK(t, "Delete", store.Delete(within(t, patience), &pluginapi.DeleteRequest{Key: key}))
	}
	s.absent(t, store, key)
}
