package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/stroem/stroem/pluginapi"
)

const (
	// minPart is how much is sent at once and so kept in memory for each Put. It is enough for 80 GB of a size that is not known.
	minPart  = 8 << 20
	maxParts = 10_000
	// abortLimit is for giving up an upload, also when its caller has given up already.
	abortLimit = 15 * time.Second
)

// Put implements [pluginapi.LogStore]. An object is there when its last request has succeeded: the only one, or the one that puts the
// parts together.
func (s *store) Put(ctx context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	source := &parts{reader: r, want: req.Size, buf: make([]byte, partSize(req.Size))}
	body, last, err := source.next()
	switch {
	case err != nil:
		return err
	case !last:
		return s.putParts(ctx, req, body, source)
	}
	_, err = s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.config.Bucket, Key: s.key(req.Key), Body: bytes.NewReader(body), ContentType: optional(req.ContentType),
		ServerSideEncryption: s.config.SSE, SSEKMSKeyId: optional(s.config.KMSKeyID), StorageClass: s.config.StorageClass,
	})
	return s.explain(ctx, err)
}

// partSize is the size of parts for an object of a size, negative when that is not known. All parts have the same, which some
// services ask for. What fits into one is read with one byte more, to see that it ends.
func partSize(size int64) int64 {
	if size >= 0 && size < minPart {
		return size + 1
	}
	return max(minPart, (size+maxParts-1)/maxParts)
}

// putParts stores an object of which there is more than its first part.
func (s *store) putParts(ctx context.Context, req *pluginapi.PutRequest, body []byte, source *parts) (err error) {
	key := s.key(req.Key)
	upload, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.config.Bucket, Key: key, ContentType: optional(req.ContentType),
		ServerSideEncryption: s.config.SSE, SSEKMSKeyId: optional(s.config.KMSKeyID), StorageClass: s.config.StorageClass,
		ChecksumAlgorithm: s.checksum,
	})
	if err != nil {
		return s.explain(ctx, err)
	}
	defer func() {
		if err != nil {
			s.abort(ctx, key, upload.UploadId)
		}
	}()
	var done []types.CompletedPart
	for last := false; len(body) > 0; {
		if len(done) == maxParts {
			return s.failure(pluginapi.CodeExhausted, "the log has more than %d parts of %d bytes", maxParts, len(source.buf))
		}
		part, err := s.putPart(ctx, key, upload.UploadId, int32(len(done)+1), body) //nolint:gosec // at most maxParts
		if err != nil {
			return s.explain(ctx, err)
		}
		done = append(done, *part)
		if last {
			break
		}
		if body, last, err = source.next(); err != nil {
			return err
		}
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.config.Bucket, Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	return s.explain(ctx, err)
}

func (s *store) putPart(ctx context.Context, key, upload *string, number int32, body []byte) (*types.CompletedPart, error) {
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &s.config.Bucket, Key: key, UploadId: upload, PartNumber: &number, Body: bytes.NewReader(body),
	})
	if err != nil {
		return nil, err
	}
	return &types.CompletedPart{
		ETag: out.ETag, PartNumber: &number, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
		ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
	}, nil
}

// abort gives an upload up. What is left of it if that fails, the service keeps and charges for until somebody removes it.
func (s *store) abort(ctx context.Context, key, upload *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortLimit)
	defer cancel()
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.config.Bucket, Key: key, UploadId: upload})
	if err = s.explain(ctx, err); err != nil {
		s.logger.WarnContext(ctx, "an upload that has failed is left in the bucket", "key", *key, "error", err)
	}
}

// parts takes a reader apart. There is one part in memory at a time.
type parts struct {
	reader     io.Reader
	want, have int64 // bytes; want is negative when it is not known
	buf        []byte
}

// next returns the next part, which is good until the one after it is asked for. The last one may be empty. Errors are those of
// the reader.
func (p *parts) next() (part []byte, last bool, err error) {
	n := 0
	for n < len(p.buf) && err == nil {
		var m int
		m, err = p.reader.Read(p.buf[n:])
		n += m
	}
	p.have += int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, false, err
	case p.want >= 0 && (p.have > p.want || err != nil && p.have < p.want):
		return nil, false, invalid("the object was said to have %d bytes, and does not", p.want)
	default:
		return p.buf[:n], err != nil, nil
	}
}

// optional is nil for what is not set.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}
