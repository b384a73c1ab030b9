package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	static "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/s3server"
)

// TestRefusalsSayWhatMendsThem sets stores up in the ways in which people do, and looks at what they are told, in their words
// and without secrets.
func TestRefusalsSayWhatMendsThem(t *testing.T) {
	t.Parallel()
	plain, secure := s3server.Start(t, s3server.Options{}), s3server.Start(t, s3server.Options{TLS: true})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html><body>There is nothing here.</body></html>", http.StatusNotFound)
	}))
	t.Cleanup(page.Close)
	const wrong = "a secret that is wrong"
	for name, c := range map[string]struct {
		server *s3server.Server
		who    static.StaticCredentialsProvider
		more   map[string]string
		code   pluginapi.Code
		parts  []string
	}{
		"wrong secret": {
			plain, static.NewStaticCredentialsProvider(s3server.AccessKey, wrong, ""), nil,
			pluginapi.CodeDenied,
			[]string{"bucket logs: the credentials are not accepted: SignatureDoesNotMatch"},
		},
		"unknown key": {
			plain, static.NewStaticCredentialsProvider("NOBODY", wrong, ""), nil,
			pluginapi.CodeDenied,
			[]string{"the credentials are not accepted: InvalidAccessKeyId"},
		},
		"no rights": {plain, user, nil, pluginapi.CodeDenied, []string{" is not allowed: AccessDenied", "s3:PutObject", "s3:ListBucket"}},
		"no bucket": {
			plain, owner,
			map[string]string{"bucket": "logz"},
			pluginapi.CodePrecondition,
			[]string{"bucket logz: it does not exist at " + plain.Endpoint, "make it, or set bucket"},
		},
		"wrong region": {
			plain, owner,
			map[string]string{"region": "us-west-2"},
			pluginapi.CodePrecondition,
			[]string{"it is not in region us-west-2", "set region to", s3server.Region},
		},
		"a certificate that nobody vouches for": {
			secure, owner,
			map[string]string{"ca_path": ""},
			pluginapi.CodePrecondition,
			[]string{"is not trusted", "set ca_path"},
		},
		"another web server": {
			&s3server.Server{Endpoint: page.URL}, owner, nil, pluginapi.CodePrecondition, []string{"what answers at " + page.URL + " is not S3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := open(t, c.server, c.who, c.more)
			s.logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			requireAll(t, s, c.code, c.parts...)
			requireHealth(t, s, pluginapi.Unhealthy, c.parts...)
			health, err := s.CheckHealth(t.Context())
			require.NoError(t, err)
			for _, secret := range []string{wrong, s3server.SecretKey, s3server.UserSecretKey, "AWS4-HMAC"} {
				require.NotContains(t, log.String()+health.Message, secret)
			}
		})
	}
}

// TestRightsThatAreHalfThere may read and not write.
func TestRightsThatAreHalfThere(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	require.NoError(t, put(t.Context(), open(t, server, owner, nil), "k", "old"))
	setPolicy(t, server, strings.NewReplacer(`"s3:PutObject", `, "", `"s3:DeleteObject", `, "").Replace(documentedPolicy(t, "")))
	s := open(t, server, user, nil)
	requireHealth(t, s, pluginapi.Healthy)
	require.Equal(t, "old", string(content(t, s, "k")))
	requireCode(t, pluginapi.CodeDenied, put(t.Context(), s, "k", "new"), "PutObject is not allowed")
	requireCode(t, pluginapi.CodeDenied, s.Delete(t.Context(), &pluginapi.DeleteRequest{Key: "k"}), "DeleteObject is not allowed")
	require.Equal(t, "old", string(content(t, s, "k")))
}

// TestBucketThatMayNotBeListed is good enough where objects may be asked for.
func TestBucketThatMayNotBeListed(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	setPolicy(t, server, strings.ReplaceAll(documentedPolicy(t, ""), "s3:ListBucket", "s3:GetBucketLocation"))
	s := open(t, server, user, nil)
	_, err := s.client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &s.config.Bucket})
	require.Error(t, err)
	requireHealth(t, s, pluginapi.Healthy)
}

// TestBucketThatGoes is not the same as an object that is not there.
func TestBucketThatGoes(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	s := open(t, server, owner, nil)
	require.NoError(t, put(t.Context(), s, "k", "text"))
	server.Remove()
	requireAll(t, s, pluginapi.CodePrecondition, "it does not exist")
	requireHealth(t, s, pluginapi.Unhealthy, "it does not exist")
}

// TestStandardEnvironment starts the program with what the server hands on, and nothing else.
func TestStandardEnvironment(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{TLS: true})
	binary, err := plugintest.Build(t.Context(), t.TempDir(), ".")
	require.NoError(t, err)
	files := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(files, ".aws"), 0o700))
	profiles := "[default]\naws_access_key_id = NOBODY\naws_secret_access_key = x\n" +
		"[logs]\naws_access_key_id = " + s3server.AccessKey + "\naws_secret_access_key = " + s3server.SecretKey + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(files, ".aws", "credentials"), []byte(profiles), 0o600))
	common := []string{"AWS_EC2_METADATA_DISABLED=true", "AWS_CA_BUNDLE=" + server.CAPath}
	for name, c := range map[string]struct {
		env   []string
		code  pluginapi.Code
		parts []string
	}{
		"environment":     {[]string{"AWS_ACCESS_KEY_ID=" + s3server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s3server.SecretKey}, "", nil},
		"profile":         {[]string{"HOME=" + files, "AWS_PROFILE=logs"}, "", nil},
		"default profile": {[]string{"HOME=" + files}, pluginapi.CodeDenied, []string{"the credentials are not accepted: InvalidAccessKeyId"}},
		"no trust": {
			[]string{"HOME=" + files, "AWS_PROFILE=logs", "AWS_CA_BUNDLE="}, pluginapi.CodePrecondition, []string{"is not trusted"},
		},
		"nothing": {
			[]string{"HOME=" + t.TempDir()}, pluginapi.CodeDenied, []string{"bucket logs: there are no credentials; set AWS_ACCESS_KEY_ID"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			instance := plugintest.Binary("/usr/bin/env", slices.Concat(common, c.env, []string{binary})...)(t)
			remote := hostapi.NewLogStore(instance, "logstore(s3)")
			_, err := remote.Describe(t.Context())
			require.NoError(t, err)
			require.NoError(t, remote.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, server, map[string]string{"ca_path": ""})}))
			err = remote.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: -1}, strings.NewReader("text"))
			health, healthErr := remote.CheckHealth(t.Context())
			require.NoError(t, healthErr)
			if c.code == "" {
				require.NoError(t, err)
				require.Equal(t, pluginapi.Healthy, health.State, health.Message)
				r, err := remote.Get(t.Context(), &pluginapi.GetRequest{Key: "k"})
				require.NoError(t, err)
				text, err := io.ReadAll(r)
				require.NoError(t, err)
				require.Equal(t, "text", string(text))
				return
			}
			requireCode(t, c.code, err, c.parts...)
			require.Contains(t, health.Message, c.parts[0])
		})
	}
}
