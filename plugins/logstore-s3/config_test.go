package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, []byte("no certificate"), 0o600))
	for settings, want := range map[string]string{
		`{"region": "r"}`: "/bucket: is required",
		`{"bucket": "b"}`: "/region: is required",
		`{"bucket": "b", "region": "r", "endpoint": "minio:9000"}`:                           "/endpoint: has to be a URL",
		`{"bucket": "b", "region": "r", "endpoint": "ftp://h"}`:                              "/endpoint: has to be a URL",
		`{"bucket": "b", "region": "r", "endpoint": "https://id:hunter2@h"}`:                 "/endpoint: must not have credentials in it",
		`{"bucket": "b", "region": "r", "endpoint": "https://h/?a=b"}`:                       "/endpoint: must have nothing after its path",
		`{"bucket": "b", "region": "r", "sse": "AES512"}`:                                    "/sse: is not one of",
		`{"bucket": "b", "region": "r", "sse": "AES256", "kms_key_id": "k"}`:                 "/kms_key_id: is for sse: aws:kms",
		`{"bucket": "b", "region": "r", "storage_class": "DEEP_ARCHIVE"}`:                    "/storage_class: is one that cannot be read at once",
		`{"bucket": "b", "region": "r", "ca_path": "/nowhere.pem"}`:                          "ca_path: open /nowhere.pem",
		`{"bucket": "b", "region": "r", "ca_path": "` + filepath.ToSlash(empty) + `"}`:       "holds no certificate in PEM",
		`{"bucket": "b", "region": "r", "bukcet": "c"}`:                                      `unknown field "bukcet"`,
		`{"bucket": "b", "region": "r", "sse": "AES512", "endpoint": "h", "kms_key_id": ""}`: "/endpoint: has to be a URL",
	} {
		s := newStore(slog.New(slog.DiscardHandler))
		err := s.Configure(t.Context(), &pluginapi.Config{Settings: json.RawMessage(settings)})
		require.ErrorContains(t, err, want, settings)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
