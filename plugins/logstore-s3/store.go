package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/stroem/stroem/pluginapi"
)

// store keeps objects in a bucket, each under the prefix and its key.
type store struct {
	logger *slog.Logger
	who    aws.CredentialsProvider // nil: the standard chain
	config config
	client *s3.Client
	// checksum is that of parts, which has to be said before there are any; "": none.
	checksum types.ChecksumAlgorithm
}

func newStore(logger *slog.Logger) *store { return &store{logger: logger} }

func (*store) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "s3", Version: version, ConfigSchema: configSchema}, nil
}

func (s *store) Configure(ctx context.Context, cfg *pluginapi.Config) error {
	var err error
	if s.config, err = parse(cfg.Settings); err != nil {
		return err
	}
	if s.client, err = s.config.connect(ctx, s.who, s.logger); err != nil {
		return err
	}
	if s.client.Options().RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired {
		s.checksum = types.ChecksumAlgorithmCrc32 // which the SDK takes for parts
	}
	return nil
}

// healthLimit is what a health check may take of the three seconds that the host waits.
const healthLimit = 2500 * time.Millisecond

// CheckHealth looks whether the bucket is there and may be used.
func (s *store) CheckHealth(ctx context.Context) (*pluginapi.Health, error) {
	limited, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	err := s.reach(limited)
	switch {
	case err == nil:
		return &pluginapi.Health{State: pluginapi.Healthy}, nil
	case ctx.Err() == nil && limited.Err() != nil:
		err = s.failure(pluginapi.CodeUnavailable, "it does not answer")
	}
	return &pluginapi.Health{State: pluginapi.Unhealthy, Message: err.Error()}, nil
}

func (s *store) reach(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.config.Bucket}, once)
	if err == nil {
		return nil
	}
	if refused := s.reason(ctx, "health", err, once); pluginapi.CodeOf(refused) != pluginapi.CodeNotFound {
		return refused
	}
	return nil // objects may be read there, which is what counts
}

func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// reason is what is behind the error of a request whose answer has no body, and so says little: the same asked in another way.
func (s *store) reason(ctx context.Context, key string, err error, options ...func(*s3.Options)) error {
	if _, ok := answered(err); !ok {
		return s.explain(ctx, err)
	}
	out, again := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.config.Bucket, Key: s.key(key), Range: aws.String("bytes=0-0"),
	}, options...)
	if again != nil && !isRange(again) {
		return s.explain(ctx, again)
	}
	if again == nil {
		_ = out.Body.Close() // only read from
	}
	return s.failure(pluginapi.CodeUnavailable, "the object can be read, but the service says nothing of it")
}

// key is where an object is in the bucket.
func (s *store) key(key string) *string { return aws.String(s.config.Prefix + key) }
