package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	static "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/s3server"
)

// Those who have something to do with a server.
var (
	owner = static.NewStaticCredentialsProvider(s3server.AccessKey, s3server.SecretKey, "")
	user  = static.NewStaticCredentialsProvider(s3server.UserAccessKey, s3server.UserSecretKey, "")
)

// newTestStore is a store that has credentials without looking for them.
func newTestStore(who aws.CredentialsProvider) *store {
	s := newStore(slog.New(slog.DiscardHandler))
	s.who = who
	return s
}

// settings are those for a server, with more of them or others.
func settings(t *testing.T, server *s3server.Server, more map[string]string) json.RawMessage {
	t.Helper()
	all := map[string]string{"bucket": s3server.Bucket, "region": s3server.Region, "endpoint": server.Endpoint}
	if server.CAPath != "" {
		all["ca_path"] = server.CAPath
	}
	for name, value := range more {
		all[name] = value
		if value == "" {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return text
}

// open returns a store that is configured for a server.
func open(t *testing.T, server *s3server.Server, who aws.CredentialsProvider, more map[string]string) *store {
	t.Helper()
	s := newTestStore(who)
	require.NoError(t, s.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, server, more)}))
	return s
}

// setPolicy has the owner of the bucket allow something.
func setPolicy(t *testing.T, server *s3server.Server, policy string) {
	t.Helper()
	_, err := open(t, server, owner, nil).client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String(s3server.Bucket), Policy: &policy,
	})
	require.NoError(t, err)
}

var policyBlock = regexp.MustCompile("(?s)```json\n(.*?)\n```")

// documentedPolicy is the one in the documentation, for the bucket and the user of a server, and another prefix.
func documentedPolicy(t *testing.T, prefix string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/log-archive.md")
	require.NoError(t, err)
	found := policyBlock.FindStringSubmatch(string(text))
	require.NotNil(t, found)
	policy := strings.ReplaceAll(found[1], ":::my-logs", ":::"+s3server.Bucket)
	policy = strings.ReplaceAll(policy, "/logs/*", "/"+prefix+"*")
	return strings.ReplaceAll(policy, `"Effect"`, `"Principal": {"AWS": ["`+s3server.UserAccessKey+`"]}, "Effect"`)
}

func put(ctx context.Context, s *store, key, text string) error {
	return s.Put(ctx, &pluginapi.PutRequest{Key: key, Size: int64(len(text)), ContentType: "application/gzip"}, strings.NewReader(text))
}

func requireCode(t *testing.T, code pluginapi.Code, err error, parts ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, pluginapi.CodeOf(err), "got %v", err)
	for _, part := range parts {
		require.ErrorContains(t, err, part)
	}
}
