package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/stroem/stroem/pluginapi"
)

// Get implements [pluginapi.LogStore].
func (s *store) Get(ctx context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: &s.config.Bucket, Key: s.key(req.Key), Range: byteRange(req)}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		if isRange(err) {
			return http.NoBody, nil // it begins where the object ends, or after that
		}
		return nil, s.explain(ctx, err)
	}
	if in.Range != nil && out.ContentRange == nil {
		_ = out.Body.Close() // only read from
		return nil, s.failure(pluginapi.CodePrecondition, "the service does not give out parts of objects")
	}
	return &reader{ReadCloser: out.Body, explain: func(err error) error { return s.explain(ctx, err) }}, nil
}

// byteRange is the part of an object in the words of HTTP; nil is all of it.
func byteRange(req *pluginapi.GetRequest) *string {
	switch {
	case req.Length > 0 && req.Length <= math.MaxInt64-req.Offset:
		return aws.String(fmt.Sprintf("bytes=%d-%d", req.Offset, req.Offset+req.Length-1))
	case req.Offset > 0:
		return aws.String(fmt.Sprintf("bytes=%d-", req.Offset))
	default:
		return nil
	}
}

// isRange tells whether an object is there and has nothing in the range that was asked for.
func isRange(err error) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	return ok && answer.ErrorCode() == "InvalidRange"
}

// reader reads an object.
type reader struct {
	io.ReadCloser
	explain func(error) error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.explain(err)
	}
	return n, err
}

// Stat implements [pluginapi.LogStore].
func (s *store) Stat(ctx context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.config.Bucket, Key: s.key(req.Key)})
	if err != nil {
		return nil, s.reason(ctx, req.Key, err)
	}
	return &pluginapi.ObjectInfo{Key: req.Key, Size: aws.ToInt64(out.ContentLength), ModTime: aws.ToTime(out.LastModified)}, nil
}

// Delete implements [pluginapi.LogStore].
func (s *store) Delete(ctx context.Context, req *pluginapi.DeleteRequest) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.config.Bucket, Key: s.key(req.Key)})
	if err = s.explain(ctx, err); pluginapi.CodeOf(err) != pluginapi.CodeNotFound {
		return err
	}
	return nil // where S3 says nothing, others say that it was not there
}
