package hostapi

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// LogStore is a log store plugin at the other end of a connection.
type LogStore struct {
	*Plugin
	rpc pluginv1.LogStoreServiceClient
}

// NewLogStore returns the log store at the other end of conn; see [NewPlugin].
func NewLogStore(conn grpc.ClientConnInterface, name string) *LogStore {
	return &LogStore{Plugin: NewPlugin(conn, name), rpc: pluginv1.NewLogStoreServiceClient(conn)}
}

// Put implements [pluginapi.LogStore]. An error of r is returned as it is; nothing is stored then.
func (s *LogStore) Put(ctx context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // breaks the stream unless it has ended
	stream, err := s.rpc.Put(ctx)
	if err != nil {
		return s.label.fail(err)
	}
	header := &pluginv1.PutHeader{Key: req.Key, Size: req.Size, ContentType: req.ContentType}
	err = stream.Send(&pluginv1.PutRequest{Part: &pluginv1.PutRequest_Header{Header: header}})
	buf := make([]byte, wire.MaxObject)
	for err == nil {
		n, readErr := r.Read(buf)
		if n > 0 {
			err = stream.Send(&pluginv1.PutRequest{Part: &pluginv1.PutRequest_Data{Data: buf[:n]}})
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return readErr
		}
	}
	// Where Send failed because the plugin gave up early, the status says why.
	_, err = stream.CloseAndRecv()
	return s.label.fail(err)
}

// Get implements [pluginapi.LogStore]. CodeNotFound comes from Get itself.
func (s *LogStore) Get(ctx context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := s.rpc.Get(ctx, &pluginv1.GetRequest{Key: req.Key, Offset: req.Offset, Length: req.Length})
	if err != nil {
		cancel()
		return nil, s.label.fail(err)
	}
	r := &objectReader{label: s.label, stream: stream, cancel: cancel}
	r.receive()
	if r.err != nil && !errors.Is(r.err, io.EOF) {
		cancel()
		return nil, r.err
	}
	return r, nil
}

// objectReader reads the chunks of a Get.
type objectReader struct {
	label  label
	stream grpc.ServerStreamingClient[pluginv1.GetResponse]
	cancel context.CancelFunc
	rest   []byte
	err    error
}

func (r *objectReader) receive() {
	msg, err := r.stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.label.fail(err)
	}
	r.rest, r.err = msg.GetData(), err
}

func (r *objectReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.receive()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *objectReader) Close() error {
	r.cancel()
	return nil
}

// Stat implements [pluginapi.LogStore].
func (s *LogStore) Stat(ctx context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	resp, err := s.rpc.Stat(ctx, &pluginv1.StatRequest{Key: req.Key})
	if err != nil {
		return nil, s.label.fail(err)
	}
	return &pluginapi.ObjectInfo{Key: req.Key, Size: resp.GetSize(), ModTime: resp.GetModTime().AsTime()}, nil
}

// Delete implements [pluginapi.LogStore].
func (s *LogStore) Delete(ctx context.Context, req *pluginapi.DeleteRequest) error {
	_, err := s.rpc.Delete(ctx, &pluginv1.DeleteRequest{Key: req.Key})
	return s.label.fail(err)
}
