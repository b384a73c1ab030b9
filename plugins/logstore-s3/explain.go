package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/stroem/stroem/pluginapi"
)

// failure is an error that says which bucket it is about.
func (s *store) failure(code pluginapi.Code, format string, args ...any) error {
	return pluginapi.Errorf(code, "bucket %s: %s", s.config.Bucket, fmt.Sprintf(format, args...))
}

func (s *store) noBucket() error {
	return s.failure(pluginapi.CodePrecondition, "it does not exist%s; make it, or set bucket to the right name", s.place())
}

// place says where the bucket is looked for.
func (s *store) place() string {
	if s.config.Endpoint != "" {
		return " at " + s.config.Endpoint
	}
	return ""
}

// explain puts an error of a request into words for people: what is wrong and what mends it.
func (s *store) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // the SDK has errors of its own for that
	}
	missing, isCredentials := errors.AsType[*credentialsError](err)
	certificate, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	answer, isAnswer := errors.AsType[smithy.APIError](err)
	response, isAnswered := answered(err)
	request, isRequest := errors.AsType[*url.Error](err)
	_, isNet := errors.AsType[net.Error](err)
	switch {
	case isCredentials:
		return s.noCredentials(missing)
	case isCertificate:
		return s.failure(pluginapi.CodePrecondition,
			"the certificate%s is not trusted: %s; if it is right, set ca_path to the file of what vouches for it", s.place(), certificate.Err)
	case isAnswered && isAnswer:
		return s.refusal(operation(err), answer, response)
	case isAnswered:
		return s.notS3(response)
	case isRequest:
		return s.failure(pluginapi.CodeUnavailable, "%s", printable(request.Err.Error())) // without the URL
	case isNet, errors.Is(err, io.ErrUnexpectedEOF):
		return s.failure(pluginapi.CodeUnavailable, "%s", printable(err.Error()))
	default:
		return s.failure(pluginapi.CodeInternal, "%s", printable(err.Error()))
	}
}

// answered tells whether a request that has failed was answered, and how.
func answered(err error) (*awshttp.ResponseError, bool) {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	return response, ok && response.HTTPStatusCode() != 0
}

func (s *store) notS3(response *awshttp.ResponseError) error {
	return s.failure(pluginapi.CodePrecondition, "what answers%s is not S3 (%s); set endpoint to its address", s.place(), response.Response.Status)
}

func (s *store) noCredentials(err *credentialsError) error {
	return &pluginapi.Error{
		Code: pluginapi.CodeDenied, Retryable: true, Err: err,
		Message: fmt.Sprintf("bucket %s: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the server, or give it a "+
			"role or a profile (%s)", s.config.Bucket, printable(err.Error())),
	}
}

// refusal explains an answer of the service that is an error.
func (s *store) refusal(operation string, answer smithy.APIError, response *awshttp.ResponseError) error {
	code, text := answer.ErrorCode(), printable(answer.ErrorMessage())
	said := fmt.Sprintf("%s (%s)", code, text)
	if text == "" || text == code {
		said = code
	}
	switch code {
	case "NoSuchKey":
		return s.failure(pluginapi.CodeNotFound, "there is no such object")
	case "NotFound": // by the status alone
		return s.notS3(response)
	case "NoSuchBucket":
		return s.noBucket()
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired", "InvalidSecurity":
		return s.failure(pluginapi.CodeDenied, "the credentials are not accepted: %s", said)
	case "RequestTimeTooSkewed":
		return s.failure(pluginapi.CodeDenied, "the clock of this machine is wrong: %s", said)
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "MovedPermanently", "TemporaryRedirect", "IllegalLocationConstraintException":
		return s.wrongRegion(said, response)
	case "InvalidObjectState":
		return s.failure(pluginapi.CodePrecondition, "the object was moved to a storage class from which it has to be restored before it can be read")
	case "EntityTooLarge", "QuotaExceeded", "XMinioStorageFull":
		return s.failure(pluginapi.CodeExhausted, "there is no room: %s", said)
	case "KeyTooLongError":
		return s.failure(pluginapi.CodeInvalid, "the key is too long")
	case "NoSuchUpload":
		return s.failure(pluginapi.CodeUnavailable, "the upload was ended by somebody else; it is to be made again")
	}
	switch status := response.HTTPStatusCode(); {
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return s.failure(pluginapi.CodeDenied, "%s is not allowed: %s; the credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and "+
			"s3:AbortMultipartUpload for %s*, and s3:ListBucket for the bucket", operation, said, s.config.Prefix)
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || code == "RequestTimeout" || code == "SlowDown":
		return s.failure(pluginapi.CodeUnavailable, "the service is busy: %s", said)
	case status == http.StatusInsufficientStorage:
		return s.failure(pluginapi.CodeExhausted, "there is no room: %s", said)
	case status >= http.StatusInternalServerError || status < http.StatusMultipleChoices: // some errors come after the status
		return s.failure(pluginapi.CodeUnavailable, "the service fails: %s", said)
	default:
		return s.failure(pluginapi.CodePrecondition, "%s is refused: %s", operation, said)
	}
}

func (s *store) wrongRegion(said string, response *awshttp.ResponseError) error {
	right := "the one that the bucket is in"
	if region := response.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		right = printable(region)
	}
	return s.failure(pluginapi.CodePrecondition, "it is not in region %s; set region to %s: %s", s.config.Region, right, said)
}

// operation is what was asked for, as S3 calls it.
func operation(err error) string {
	if failed, ok := errors.AsType[*smithy.OperationError](err); ok {
		return failed.Operation()
	}
	return "the request"
}

// printable leaves out what a terminal would obey, and is valid UTF-8 of bounded length.
func printable(text string) string {
	const longest = 500
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
