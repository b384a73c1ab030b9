package wire_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// TestCodec has messages of all sizes on both sides of every bound, at the same time: buffers are used again, and what was in
// them must not come through.
func TestCodec(t *testing.T) {
	t.Parallel()
	codec := wire.Codec()
	require.Equal(t, "proto", codec.Name())
	var sizes []int
	for _, bound := range []int{0, 1 << 10, 32 << 10, wire.MaxOutput, wire.MaxOutput + 4<<10} {
		for around := -6; around <= 6; around += 2 {
			sizes = append(sizes, max(bound+around, 0))
		}
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for round := range 3 {
				for _, size := range sizes {
					value := bytes.Repeat([]byte{byte(1 + worker*5 + round)}, size)
					data, err := codec.Marshal(wrapperspb.Bytes(value))
					if err != nil {
						t.Error(err)
						return
					}
					want, err := proto.Marshal(wrapperspb.Bytes(value))
					if err != nil || !bytes.Equal(want, data.Materialize()) {
						t.Errorf("%d bytes are encoded wrongly: %v", size, err)
					}
					got := wrapperspb.Bytes([]byte("before"))
					if err := codec.Unmarshal(data, got); err != nil || !bytes.Equal(value, got.GetValue()) {
						t.Errorf("%d bytes are decoded wrongly: %v", size, err)
					}
					data.Free()
				}
			}
		})
	}
	group.Wait()
}

func TestCodecRefuses(t *testing.T) {
	t.Parallel()
	codec := wire.Codec()
	_, err := codec.Marshal("text")
	require.Error(t, err)
	require.Error(t, codec.Unmarshal(mem.BufferSlice{}, "text"))
	require.Error(t, codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0xff}, 40<<10))}, &wrapperspb.BytesValue{}))
	_, err = codec.Marshal(wrapperspb.String(string(bytes.Repeat([]byte{0xff}, 40<<10))))
	require.Error(t, err, "text has to be UTF-8")
}
