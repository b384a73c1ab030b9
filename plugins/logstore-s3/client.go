package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// How long a request may take, and how often it is made. That nobody can be reached is known within twenty seconds, that nobody
// answers within two minutes.
const (
	attempts     = 3
	backoffLimit = 2 * time.Second
	dialLimit    = 5 * time.Second
	answerLimit  = 30 * time.Second // from the end of a request to the beginning of its answer
	silenceLimit = 2 * time.Minute  // of a connection, also while a part is sent
)

// What says whether checksums are added and compared.
const (
	checksumsEnv  = "AWS_REQUEST_CHECKSUM_CALCULATION"
	validationEnv = "AWS_RESPONSE_CHECKSUM_VALIDATION"
)

// connect makes the client. Nothing is sent: credentials are asked for with the first request. Without
// who, they come from the standard chain.
func (c config) connect(ctx context.Context, who aws.CredentialsProvider, logger *slog.Logger) (*s3.Client, error) {
	web, err := c.transport()
	if err != nil {
		return nil, err
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx,
		awsconfig.WithRegion(c.Region), awsconfig.WithHTTPClient(web), awsconfig.WithCredentialsProvider(who),
		awsconfig.WithAppID("stroem"), awsconfig.WithLogger(quiet(logger)),
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				// No quota for retries: after an outage it would be spent.
				o.MaxAttempts, o.MaxBackoff, o.RateLimiter = attempts, backoffLimit, ratelimit.None
			})
		}))
	if err != nil {
		return nil, invalid("read the environment and the files of AWS: %w", err)
	}
	loaded.Credentials = credentials{loaded.Credentials}
	return s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.DisableLogOutputChecksumValidationSkipped = true
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
		if o.BaseEndpoint == nil {
			return
		}
		o.UsePathStyle = true
		// Checksums that S3 has learned in 2024 are refused by services that have not.
		if os.Getenv(checksumsEnv) == "" {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
		if os.Getenv(validationEnv) == "" {
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	}), nil
}

// transport is how to reach the service. AWS_CA_BUNDLE is added to it by the SDK.
func (c config) transport() (*awshttp.BuildableClient, error) {
	var roots *x509.CertPool
	if c.CAPath != "" {
		text, err := os.ReadFile(c.CAPath)
		if err != nil {
			return nil, invalid("ca_path: %w", err)
		}
		if roots, err = x509.SystemCertPool(); err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, invalid("ca_path: %s holds no certificate in PEM", c.CAPath)
		}
	}
	web := awshttp.NewBuildableClient().WithReadTimeout(silenceLimit).WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialLimit })
	return web.WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout, t.TLSClientConfig.RootCAs = answerLimit, roots
	}), nil
}

// credentials tell errors of finding credentials from those of using them.
type credentials struct{ aws.CredentialsProvider }

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Retrieve implements [aws.CredentialsProvider].
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, &credentialsError{err}
	}
	return found, nil
}

// quiet passes on what the SDK says of itself. Requests are not part of that.
func quiet(logger *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
		logger.Debug("from the AWS SDK", "text", fmt.Sprintf(format, args...))
	})
}
