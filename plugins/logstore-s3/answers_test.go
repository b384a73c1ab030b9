package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/s3server"
)

// TestAnswersOfAWS has a server give answers as AWS documents them and the server for tests never does.
func TestAnswersOfAWS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		code, text string
		region     string
		want       pluginapi.Code
		parts      []string
	}{
		"another region": {
			301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.", "eu-west-3",
			pluginapi.CodePrecondition,
			[]string{"bucket logs: it is not in region eu-north-1; set region to eu-west-3"},
		},
		"a token that has expired": {
			400, "ExpiredToken", "The provided token has expired.", "", pluginapi.CodeDenied, []string{"the credentials are not accepted: ExpiredToken"},
		},
		"a clock that is wrong": {
			403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "",
			pluginapi.CodeDenied,
			[]string{"the clock of this machine is wrong"},
		},
		"a key that is disabled": {
			400, "KMS.DisabledException", "arn:aws:kms:eu-north-1:1:key/2 is disabled.", "",
			pluginapi.CodePrecondition,
			[]string{"is refused: KMS.DisabledException (arn:aws:kms:eu-north-1:1:key/2 is disabled.)"},
		},
		"an object that has frozen": {
			403, "InvalidObjectState", "The operation is not valid for the object's storage class", "",
			pluginapi.CodePrecondition,
			[]string{"it has to be restored before it can be read"},
		},
		"no room":      {507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.", "", pluginapi.CodeExhausted, []string{"there is no room"}},
		"a long key":   {400, "KeyTooLongError", "Your key is too long", "", pluginapi.CodeInvalid, []string{"the key is too long"}},
		"escapes":      {400, "Odd", "a\r\n&#x9b;31mred", "", pluginapi.CodePrecondition, []string{"Odd (a  31mred)"}},
		"no permit":    {403, "AccessDenied", "Access Denied", "", pluginapi.CodeDenied, []string{"is not allowed: AccessDenied", "s3:ListBucket"}},
		"too many":     {429, "TooManyRequests", "", "", pluginapi.CodeUnavailable, []string{"the service is busy"}},
		"without text": {418, "Teapot", "", "", pluginapi.CodePrecondition, []string{"is refused: Teapot"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if c.region != "" {
					w.Header().Set("X-Amz-Bucket-Region", c.region)
				}
				w.WriteHeader(c.status)
				if req.Method != http.MethodHead {
					_, _ = io.WriteString(w, errorText(c.code, c.text))
				}
			}))
			t.Cleanup(server.Close)
			s := open(t, &s3server.Server{Endpoint: server.URL}, owner, nil)
			requireAll(t, s, c.want, c.parts...)
			requireHealth(t, s, pluginapi.Unhealthy, c.parts...)
		})
	}
}

func errorText(code, text string) string {
	return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>" + text + "</Message></Error>"
}

// TestUploadThatFailsAtItsEnd is answered with an error after the status said that it was well, as AWS does when parts take long
// to be put together.
func TestUploadThatFailsAtItsEnd(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	proxy := record(t, server)
	proxy.answer = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost || !req.URL.Query().Has("uploadId") {
			return false
		}
		_, _ = io.WriteString(w, errorText("InternalError", "We encountered an internal error. Please try again."))
		return true
	}
	s := open(t, server, owner, map[string]string{"endpoint": proxy.URL})
	require.NoError(t, put(t.Context(), s, "k", "old"))
	err := s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: -1}, &stream{left: minPart + 1, err: io.EOF})
	requireCode(t, pluginapi.CodeUnavailable, err, "the service fails: InternalError")
	require.Len(t, proxy.requests("POST", "uploadId"), attempts)
	require.Equal(t, "old", string(content(t, s, "k")))
	requireNoUploads(t, s)
}

// TestServiceWithoutRanges gives out objects as a whole, whatever part of them is asked for.
func TestServiceWithoutRanges(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "0123456789") }))
	t.Cleanup(server.Close)
	s := open(t, &s3server.Server{Endpoint: server.URL}, owner, nil)
	_, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: "k", Offset: 3, Length: 2})
	requireCode(t, pluginapi.CodePrecondition, err, "does not give out parts of objects")
}
