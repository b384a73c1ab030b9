package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/s3server"
)

func TestMain(m *testing.M) {
	plugintest.Init()
	if err := s3server.Forget(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	opts := plugintest.LogStoreOptions{BadConfig: json.RawMessage(`{"bucket": "b", "region": "r", "endpoint": "s3.example.com"}`)}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		server := s3server.Start(t, s3server.Options{})
		opts := opts
		opts.Config = settings(t, server, nil)
		plugintest.TestLogStore(t, plugintest.InProcess(func() *store { return newTestStore(owner) }), opts)
	})
	binary, err := plugintest.Build(t.Context(), t.TempDir(), ".")
	require.NoError(t, err)
	env, err := exec.LookPath("env")
	require.NoError(t, err)
	// As the server starts it, the plugin has its credentials in its environment.
	with := func(variables ...string) plugintest.Opener {
		args := append([]string{
			"AWS_ACCESS_KEY_ID=" + s3server.UserAccessKey, "AWS_SECRET_ACCESS_KEY=" + s3server.UserSecretKey, "AWS_EC2_METADATA_DISABLED=true",
		}, variables...)
		return plugintest.Binary(env, append(args, binary)...)
	}
	t.Run("binary, with the rights that the documentation asks for", func(t *testing.T) {
		t.Parallel()
		server := s3server.Start(t, s3server.Options{TLS: true})
		setPolicy(t, server, documentedPolicy(t, "logs/"))
		opts := opts
		opts.Config = settings(t, server, map[string]string{"prefix": "logs/"})
		plugintest.TestLogStore(t, with(), opts)
	})
	t.Run("binary, with checksums as for AWS", func(t *testing.T) {
		t.Parallel()
		server := s3server.Start(t, s3server.Options{})
		setPolicy(t, server, documentedPolicy(t, ""))
		opts := opts
		opts.Config = settings(t, server, nil)
		plugintest.TestLogStore(t, with("AWS_REQUEST_CHECKSUM_CALCULATION=when_supported", "AWS_RESPONSE_CHECKSUM_VALIDATION=when_supported"), opts)
	})
}
