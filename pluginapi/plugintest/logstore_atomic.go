package plugintest

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

func (s *logStoreSuite) testChunks(t TB) {
	i, store, key := s.store(t)
	put(t, store, key, pattern(1<<20), 1<<20)
	stream, err := pluginv1.NewLogStoreServiceClient(i).Get(within(t, patience), &pluginv1.GetRequest{Key: key})
	wantOK(t, "Get", err)
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		wantOK(t, "Get", err)
		if n := len(msg.GetData()); n > wire.MaxObject {
			t.Errorf("a chunk has %d bytes", n)
			return
		}
	}
}

// testReplaceWhileRead replaces an object of which a reader has had only the beginning.
func (s *logStoreSuite) testReplaceWhileRead(t TB) {
	_, store, key := s.store(t)
	before, after := pattern(3<<20), bytes.Repeat([]byte("x"), 3<<20)
	put(t, store, key, before, int64(len(before)))
	r, err := store.Get(within(t, patience), &pluginapi.GetRequest{Key: key})
	wantOK(t, "Get", err)
	defer func() { _ = r.Close() }() // only read from
	begin := make([]byte, 1000)
	_, err = io.ReadFull(r, begin)
	wantOK(t, "read", err)
	put(t, store, key, after, int64(len(after)))
	rest, err := io.ReadAll(r)
	if got := append(begin, rest...); err == nil && !bytes.Equal(got, before) { // that it breaks off is no lie
		t.Errorf("an object that was replaced while it was read came as a mixture of %d bytes", len(got))
	}
	wantBytes(t, "object", get(t, store, &pluginapi.GetRequest{Key: key}), after)
}

func (s *logStoreSuite) testParallel(t TB) {
	_, store, key := s.store(t)
	one, two := pattern(400_000), bytes.Repeat([]byte("x"), 500_000)
	put(t, store, key, one, int64(len(one)))
	ctx := within(t, patience)
	var wg sync.WaitGroup
	for i := range 8 {
		data := [][]byte{one, two}[i%2]
		wg.Go(func() {
			req := &pluginapi.PutRequest{Key: key, Size: int64(len(data))}
			if err := store.Put(ctx, req, bytes.NewReader(data)); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
		wg.Go(func() {
			r, err := store.Get(ctx, &pluginapi.GetRequest{Key: key})
			if err != nil {
				t.Errorf("Get: %v", err)
				return
			}
			defer func() { _ = r.Close() }() // only read from
			if got, err := io.ReadAll(r); err == nil && !bytes.Equal(got, one) && !bytes.Equal(got, two) {
				t.Errorf("while others put, a mixture of %d bytes came", len(got))
			}
		})
	}
	wg.Wait()
	if got := get(t, store, &pluginapi.GetRequest{Key: key}); !bytes.Equal(got, one) && !bytes.Equal(got, two) {
		t.Errorf("parallel puts left a mixture of %d bytes", len(got))
	}
}
