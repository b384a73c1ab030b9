package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// LogStoreOptions says what the suite cannot find out itself.
type LogStoreOptions struct {
	Config    json.RawMessage // settings of the plugin; nil is {}
	BadConfig json.RawMessage // settings to be refused; nil leaves the case out
}

// TestLogStore runs the suite. open makes an instance for each case; instances may share what they store.
func TestLogStore(t *testing.T, open Opener, opts LogStoreOptions) {
	t.Helper()
	run(t, LogStoreCases(open, opts))
}

// LogStoreCases are the cases that a log store should pass.
func LogStoreCases(open Opener, opts LogStoreOptions) []Case {
	s := &logStoreSuite{open: open, opts: opts}
	return append(pluginCases(open, pluginapi.KindLogStore, opts.Config, opts.BadConfig),
		Case{"put and get", s.testPutGet},
		Case{"ranges", s.testRanges},
		Case{"replace", s.testReplace},
		Case{"broken put", s.testBrokenPut},
		Case{"absent", s.testAbsent},
		Case{"delete", s.testDelete},
		Case{"parallel", s.testParallel},
	)
}

type logStoreSuite struct {
	open Opener
	opts LogStoreOptions
}

// store returns a fresh, configured instance and a key that nobody else uses.
func (s *logStoreSuite) store(t TB) (pluginapi.LogStore, string) {
	t.Helper()
	store := hostapi.NewLogStore(s.open(t), "logstore")
	configure(t, store, s.opts.Config)
	key := "conformance/" + newID() + "/log.jsonl.gz"
	ctx := context.WithoutCancel(t.Context()) // the test's own context has ended when it is cleaned up
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = store.Delete(ctx, &pluginapi.DeleteRequest{Key: key})
	})
	return store, key
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
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}

func (s *logStoreSuite) testPutGet(t TB) {
	store, key := s.store(t)
	for _, size := range []int{0, 1, 256 << 10, 3<<20 + 17} {
		data := pattern(size)
		for _, said := range []int64{int64(size), -1} {
			put(t, store, key, data, said)
			wantBytes(t, "object", get(t, store, &pluginapi.GetRequest{Key: key}), data)
		}
		info, err := store.Stat(within(t, patience), &pluginapi.StatRequest{Key: key})
		wantOK(t, "Stat", err)
		if info.Size != int64(size) || info.ModTime.IsZero() {
			t.Errorf("Stat says %+v of an object of %d bytes", *info, size)
		}
	}
}

func (s *logStoreSuite) testRanges(t TB) {
	store, key := s.store(t)
	data := pattern(1 << 20)
	put(t, store, key, data, int64(len(data)))
	for _, r := range []struct{ offset, length, from, to int }{
		{0, 10, 0, 10},
		{5, 1, 5, 6},
		{300_000, 400_000, 300_000, 700_000},
		{1<<20 - 3, 100, 1<<20 - 3, 1 << 20},
		{1 << 19, 0, 1 << 19, 1 << 20},
		{1 << 20, 10, 1 << 20, 1 << 20},
		{2 << 20, 0, 1 << 20, 1 << 20},
	} {
		got := get(t, store, &pluginapi.GetRequest{Key: key, Offset: int64(r.offset), Length: int64(r.length)})
		wantBytes(t, "range", got, data[r.from:r.to])
	}
}

func (s *logStoreSuite) testReplace(t TB) {
	store, key := s.store(t)
	put(t, store, key, pattern(1000), 1000)
	put(t, store, key, []byte("shorter"), 7)
	wantBytes(t, "object", get(t, store, &pluginapi.GetRequest{Key: key}), []byte("shorter"))
}

func (s *logStoreSuite) testBrokenPut(t TB) {
	store, key := s.store(t)
	put(t, store, key, []byte("old"), 3)
	err := store.Put(within(t, patience), &pluginapi.PutRequest{Key: key, Size: -1},
		brokenReader{bytes.NewReader(pattern(600_000))})
	if !errors.Is(err, errBroken) {
		t.Errorf("Put returned %v, want the reader's error", err)
	}
	wantBytes(t, "object after a broken put", get(t, store, &pluginapi.GetRequest{Key: key}), []byte("old"))
}

func (s *logStoreSuite) testAbsent(t TB) {
	store, key := s.store(t)
	_, err := store.Stat(within(t, patience), &pluginapi.StatRequest{Key: key})
	wantCode(t, err, pluginapi.CodeNotFound)
	_, err = store.Get(within(t, patience), &pluginapi.GetRequest{Key: key})
	wantCode(t, err, pluginapi.CodeNotFound)
	wantOK(t, "Delete", store.Delete(within(t, patience), &pluginapi.DeleteRequest{Key: key}))
}

func (s *logStoreSuite) testDelete(t TB) {
	store, key := s.store(t)
	put(t, store, key, []byte("text"), 4)
	wantOK(t, "Delete", store.Delete(within(t, patience), &pluginapi.DeleteRequest{Key: key}))
	_, err := store.Stat(within(t, patience), &pluginapi.StatRequest{Key: key})
	wantCode(t, err, pluginapi.CodeNotFound)
}

func (s *logStoreSuite) testParallel(t TB) {
	store, key := s.store(t)
	one, two := pattern(400_000), bytes.Repeat([]byte("x"), 500_000)
	var wg sync.WaitGroup
	for i := range 8 {
		data := [][]byte{one, two}[i%2]
		wg.Go(func() {
			req := &pluginapi.PutRequest{Key: key, Size: int64(len(data))}
			if err := store.Put(within(t, patience), req, bytes.NewReader(data)); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	wg.Wait()
	if got := get(t, store, &pluginapi.GetRequest{Key: key}); !bytes.Equal(got, one) && !bytes.Equal(got, two) {
		t.Errorf("parallel puts left a mixture of %d bytes", len(got))
	}
}
