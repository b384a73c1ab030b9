package pluginhost

import (
	"context"
	"errors"
	"io"

	"github.com/stroem/stroem/pluginapi"
)

// logStoreHandle is a log store that stays valid across restarts.
type logStoreHandle struct{ handle }

// Put implements [pluginapi.LogStore].
func (h logStoreHandle) Put(ctx context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	return do(ctx, h.s, func(ctx context.Context, i *instance) error { return i.logStore().Put(ctx, req, r) })
}

// Get implements [pluginapi.LogStore].
func (h logStoreHandle) Get(ctx context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	ctx, i, end, err := h.s.begin(ctx)
	if err != nil {
		return nil, err
	}
	r, err := i.logStore().Get(ctx, req)
	if err != nil {
		defer end()
		return nil, h.s.explain(ctx, err)
	}
	context.AfterFunc(ctx, end) // a reader that nobody closes must not keep the host from draining
	return &objectReader{r: r, explain: func(err error) error { return h.s.explain(ctx, err) }, end: end}, nil
}

// objectReader reads an object; it is a call that is under way until Close.
type objectReader struct {
	r       io.ReadCloser
	explain func(error) error
	end     func()
}

func (r *objectReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.explain(err)
	}
	return n, err
}

func (r *objectReader) Close() error {
	defer r.end()
	return r.r.Close()
}

// Stat implements [pluginapi.LogStore].
func (h logStoreHandle) Stat(ctx context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	return call(ctx, h.s, func(ctx context.Context, i *instance) (*pluginapi.ObjectInfo, error) {
		return i.logStore().Stat(ctx, req)
	})
}

// Delete implements [pluginapi.LogStore].
func (h logStoreHandle) Delete(ctx context.Context, req *pluginapi.DeleteRequest) error {
	return do(ctx, h.s, func(ctx context.Context, i *instance) error { return i.logStore().Delete(ctx, req) })
}
