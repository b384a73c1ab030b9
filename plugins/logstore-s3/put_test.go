package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/s3server"
)

// stream gives so many bytes, none of which are in memory, and then err. It calls at after each piece.
type stream struct {
	left int64
	err  error
	at   func(left int64)
}

// period is a prime number, so that what a stream gives does not repeat at the size of a part.
const period = 251

// pattern is what streams give pieces of: each byte follows from how many are left.
var pattern = sync.OnceValue(func() []byte {
	text := make([]byte, period+(256<<10))
	for i := range text {
		text[i] = byte(period - i%period)
	}
	return text
})

func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, s.err
	}
	n := min(int64(len(p)), s.left, 256<<10)
	copy(p[:n], pattern()[(period-s.left%period)%period:])
	s.left -= n
	if s.at != nil {
		s.at(s.left)
	}
	return int(n), nil
}

func content(t *testing.T, s *store, key string) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: key})
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return text
}

// requireNoUploads checks that no upload is under way in the bucket.
func requireNoUploads(t *testing.T, s *store) {
	t.Helper()
	out, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.config.Bucket})
	require.NoError(t, err)
	require.Empty(t, out.Uploads)
}

// TestLargeObjectTakesLittleMemory is not parallel: it looks at the memory of the process.
func TestLargeObjectTakesLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	const size = 120<<20 + 12345
	s := open(t, s3server.Start(t, s3server.Options{}), owner, nil)
	before, most := heap(), uint64(0)
	measure := func(left int64) {
		if left%(4<<20) == 0 || left%(4<<20) > 4<<20-256<<10 {
			most = max(most, heap())
		}
	}
	for _, said := range []int64{size, -1} {
		require.NoError(t, s.Put(t.Context(), &pluginapi.PutRequest{Key: "large", Size: said}, &stream{left: size, err: io.EOF, at: measure}))
		info, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.config.Bucket, Key: aws.String("large")})
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(*info.ETag, `-16"`), "%s: parts of 8 MiB", *info.ETag)
		r, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: "large"})
		require.NoError(t, err)
		require.Equal(t, sum(t, &stream{left: size, err: io.EOF}), sum(t, r))
		require.NoError(t, r.Close())
	}
	t.Logf("the heap grew from %d to %d bytes", before, most)
	require.Less(t, most, before+3*minPart)
	requireNoUploads(t, s)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func sum(t *testing.T, r io.Reader) [sha256.Size]byte {
	t.Helper()
	hash := sha256.New()
	_, err := io.Copy(hash, r)
	require.NoError(t, err)
	return [sha256.Size]byte(hash.Sum(nil))
}

func TestSizesAroundThoseOfParts(t *testing.T) {
	t.Parallel()
	s := open(t, s3server.Start(t, s3server.Options{}), owner, nil)
	for _, size := range []int64{0, 1, minPart - 1, minPart, minPart + 1, 2 * minPart, 2*minPart + 1} {
		want, err := io.ReadAll(&stream{left: size, err: io.EOF})
		require.NoError(t, err)
		for _, said := range []int64{size, -1} {
			require.NoError(t, s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: said}, &stream{left: size, err: io.EOF}), size)
			require.True(t, bytes.Equal(want, content(t, s, "k")), "%d bytes", size)
		}
	}
	require.EqualValues(t, minPart, partSize(maxParts*minPart))
	require.EqualValues(t, minPart+1, partSize(maxParts*minPart+1), "there are no more parts than allowed")
}

// TestFailedPutLeavesTheOldObject has puts fail in several ways and at several times.
func TestFailedPutLeavesTheOldObject(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("the reader broke")
	for name, c := range map[string]struct {
		size, said int64
		err        error
		want       error
	}{
		"reader, at once":            {0, -1, errBroken, errBroken},
		"reader, in the first part":  {100, -1, errBroken, errBroken},
		"reader, in the third part":  {2*minPart + 100, -1, errBroken, errBroken},
		"reader, between parts":      {2 * minPart, 3 * minPart, errBroken, errBroken},
		"reader that was cut off":    {minPart + 100, -1, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		"less than was said":         {100, 101, io.EOF, nil},
		"more than was said":         {102, 101, io.EOF, nil},
		"parts, less than was said":  {2 * minPart, 3 * minPart, io.EOF, nil},
		"parts, more than was said":  {2*minPart + 1, 2 * minPart, io.EOF, nil},
		"a part too much, of a byte": {minPart + 1, minPart, io.EOF, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, s3server.Start(t, s3server.Options{}), owner, nil)
			require.NoError(t, put(t.Context(), s, "k", "old"))
			err := s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: c.said}, &stream{left: c.size, err: c.err})
			if c.want != nil {
				require.Equal(t, c.want, err, "as it is")
			} else {
				requireCode(t, pluginapi.CodeInvalid, err, "the object was said to have")
			}
			require.Equal(t, "old", string(content(t, s, "k")))
			requireNoUploads(t, s)
		})
	}
}

// TestCancelledPut ends the context while parts are under way.
func TestCancelledPut(t *testing.T) {
	t.Parallel()
	s := open(t, s3server.Start(t, s3server.Options{}), owner, nil)
	require.NoError(t, put(t.Context(), s, "k", "old"))
	for name, at := range map[string]int64{"before the first": 3 * minPart, "in the second": minPart + 100, "at the end": 0} {
		ctx, cancel := context.WithCancel(t.Context())
		source := &stream{left: 3 * minPart, err: io.EOF, at: func(left int64) {
			if left <= at {
				cancel()
			}
		}}
		err := s.Put(ctx, &pluginapi.PutRequest{Key: "k", Size: -1}, source)
		require.ErrorIs(t, err, context.Canceled, name)
		require.Equal(t, "old", string(content(t, s, "k")), name)
		requireNoUploads(t, s)
		cancel()
	}
}
