package pluginapi

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

type logStoreServer struct {
	pluginv1.UnimplementedLogStoreServiceServer
	*server
	store LogStore
}

func (s *logStoreServer) Put(stream grpc.ClientStreamingServer[pluginv1.PutRequest, pluginv1.PutResponse]) error {
	if err := s.ready(); err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	header := first.GetHeader()
	if header == nil {
		return Errorf(CodeInvalid, "the first message of a put has to be its header")
	}
	req := &PutRequest{Key: header.GetKey(), Size: header.GetSize(), ContentType: header.GetContentType()}
	if err := s.store.Put(stream.Context(), req, &putReader{stream: stream}); err != nil {
		return err
	}
	return stream.SendAndClose(&pluginv1.PutResponse{})
}

// putReader reads the data of a Put. It ends with io.EOF only if the client finished the stream.
type putReader struct {
	stream grpc.ClientStreamingServer[pluginv1.PutRequest, pluginv1.PutResponse]
	rest   []byte
}

func (r *putReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		msg, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		r.rest = msg.GetData()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (s *logStoreServer) Get(req *pluginv1.GetRequest, stream grpc.ServerStreamingServer[pluginv1.GetResponse]) error {
	if err := s.ready(); err != nil {
		return err
	}
	if req.GetOffset() < 0 {
		return Errorf(CodeInvalid, "offset %d is negative", req.GetOffset())
	}
	r, err := s.store.Get(stream.Context(), &GetRequest{Key: req.GetKey(), Offset: req.GetOffset(), Length: req.GetLength()})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read from
	buf := make([]byte, wire.MaxObject)
	for {
		n, err := fill(r, buf)
		if n > 0 {
			if err := stream.Send(&pluginv1.GetResponse{Data: buf[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// fill reads until buf is full. Unlike io.ReadFull it leaves the reader's error as it is, so that a source that broke off
// (io.ErrUnexpectedEOF) does not look like one that ended.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func (s *logStoreServer) Stat(ctx context.Context, req *pluginv1.StatRequest) (*pluginv1.StatResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	info, err := s.store.Stat(ctx, &StatRequest{Key: req.GetKey()})
	if err != nil {
		return nil, err
	}
	return &pluginv1.StatResponse{Size: info.Size, ModTime: timestamppb.New(info.ModTime)}, nil
}

func (s *logStoreServer) Delete(ctx context.Context, req *pluginv1.DeleteRequest) (*pluginv1.DeleteResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	if err := s.store.Delete(ctx, &DeleteRequest{Key: req.GetKey()}); err != nil {
		return nil, err
	}
	return &pluginv1.DeleteResponse{}, nil
}
