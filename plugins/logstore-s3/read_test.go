package main

import (
	"io"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/s3server"
)

// TestKeysAreTakenAsTheyAre looks at the names that the objects have in the bucket.
func TestKeysAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	keys := []string{
		"production/deploy/2025/03/15/2025-03-15T14-30-45_0c8f4c5e-6f0e-4b1e-8a43-0a3a7a6a2d11.jsonl.gz",
		"production/_hook:deploy/notify/2025/03/15/x.jsonl.gz",
		"a b/c  d", "größe/名前/🚀", "a+b&c=d;e,f", "100%/%2F/%00", "q?x=1#y", "quote\"'`$(x)\\y", "~user/(1)[2]{3}<4>|^", "@/!*",
	}
	for _, prefix := range []string{"", "logs/", "logs-of ü/", "team"} {
		server := s3server.Start(t, s3server.Options{})
		s := open(t, server, owner, map[string]string{"prefix": prefix})
		want := map[string]int64{}
		for _, key := range keys {
			require.NoError(t, put(t.Context(), s, key, key), key)
			want[prefix+key] = int64(len(key))
			require.Equal(t, key, string(content(t, s, key)))
			info, err := s.Stat(t.Context(), &pluginapi.StatRequest{Key: key})
			require.NoError(t, err, key)
			require.Equal(t, pluginapi.ObjectInfo{Key: key, Size: int64(len(key)), ModTime: info.ModTime}, *info)
		}
		require.Equal(t, want, server.Objects())
		require.Equal(t, keys[1], string(server.Object(prefix+keys[1])))
		for _, key := range keys {
			require.NoError(t, s.Delete(t.Context(), &pluginapi.DeleteRequest{Key: key}), key)
		}
		require.Empty(t, slices.Collect(maps.Keys(server.Objects())))
	}
}

// TestNothingToRead tells an object that is not there from one that has nothing where it is read.
func TestNothingToRead(t *testing.T) {
	t.Parallel()
	s := open(t, s3server.Start(t, s3server.Options{}), owner, nil)
	require.NoError(t, put(t.Context(), s, "empty", ""))
	require.NoError(t, put(t.Context(), s, "short", "0123456789"))
	for _, c := range []struct {
		key            string
		offset, length int64
		want           string
	}{
		{"empty", 0, 0, ""},
		{"empty", 0, 10, ""},
		{"empty", 5, -1, ""},
		{"empty", math.MaxInt64, math.MaxInt64, ""},
		{"short", 9, 1, "9"},
		{"short", 10, 1, ""},
		{"short", 10, 0, ""},
		{"short", 1 << 40, 10, ""},
		{"short", 3, math.MaxInt64, "3456789"},
		{"short", 0, math.MaxInt64, "0123456789"},
		{"short", math.MaxInt64, 1, ""},
	} {
		r, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: c.key, Offset: c.offset, Length: c.length})
		require.NoError(t, err, c)
		text, err := io.ReadAll(r)
		require.NoError(t, err, c)
		require.NoError(t, r.Close())
		require.Equal(t, c.want, string(text), c)
		_, err = s.Get(t.Context(), &pluginapi.GetRequest{Key: c.key + "-not", Offset: c.offset, Length: c.length})
		requireCode(t, pluginapi.CodeNotFound, err, "there is no such object")
	}
	_, err := s.Stat(t.Context(), &pluginapi.StatRequest{Key: "empty-not"})
	requireCode(t, pluginapi.CodeNotFound, err)
}
