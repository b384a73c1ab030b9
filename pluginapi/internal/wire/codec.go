package wire

import (
	"sync"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that this one stands in front of
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's for Protocol Buffers with other buffers. The usual ones come in 32 KiB and then 1 MiB, so that each chunk of
// output would take a whole MiB, which is cleared first: more work than all else that happens to the chunk.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	size := proto.Size(m)
	if !isChunk(size) {
		return c.CodecV2.Marshal(v)
	}
	buf := chunks.Get(size)
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*buf)[:0], m); err != nil {
		chunks.Put(buf)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buf, chunks)}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok || !isChunk(data.Len()) {
		return c.CodecV2.Unmarshal(data, v)
	}
	buf := data.MaterializeToBuffer(chunks)
	defer buf.Free()
	return proto.Unmarshal(buf.ReadOnlyData(), m)
}

// isChunk says whether a message has about the size of a chunk of output.
func isChunk(size int) bool { return size > 32<<10 && size <= maxChunk }

// maxChunk is the size of a chunk of output with what is around it, in bytes.
const maxChunk = MaxOutput + 4<<10

// chunks are buffers of maxChunk bytes. They are not cleared: whoever gets one writes all of it.
var chunks mem.BufferPool = &pool{sync.Pool{New: func() any {
	buf := make([]byte, maxChunk)
	return &buf
}}}

type pool struct{ sync.Pool }

func (p *pool) Get(size int) *[]byte {
	buf, _ := p.Pool.Get().(*[]byte) // there are no others
	*buf = (*buf)[:size]
	return buf
}

func (p *pool) Put(buf *[]byte) { p.Pool.Put(buf) }
