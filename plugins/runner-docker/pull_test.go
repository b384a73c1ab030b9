package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// registryServer is as much of a registry as serves one image, app:1. It listens on loopback, where engines do without TLS.
type registryServer struct {
	host     string
	password string                                             // "": it lets everybody in
	busy     bool                                               // it refuses all, because there were too many
	layer    func(w http.ResponseWriter, r *http.Request) error // in place of serving it
	blobs    map[string][]byte
	manifest []byte
}

func newRegistry(t *testing.T) *registryServer {
	t.Helper()
	files, err := busybox(t.Context())
	require.NoError(t, err)
	// Each registry has another layer, or the engine would know it.
	files = append(slices.Clip(files), make([]byte, 512)...)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Comment = t.Name()
	_, err = zip.Write(files)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	config, err := json.Marshal(doc{
		"architecture": runtime.GOARCH, "os": "linux", "config": doc{"Labels": doc{"test": t.Name()}},
		"rootfs": doc{"type": "layers", "diff_ids": []string{digest(files)}},
	})
	require.NoError(t, err)
	s := &registryServer{blobs: map[string][]byte{digest(config): config, digest(packed.Bytes()): packed.Bytes()}}
	s.manifest, err = json.Marshal(doc{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": doc{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest(config)},
		"layers": []doc{{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": packed.Len(), "digest": digest(packed.Bytes())}},
	})
	require.NoError(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections() // an engine may take its time over giving up
		server.Close()
	})
	s.host = strings.TrimPrefix(server.URL, "http://")
	api := engine(t)
	t.Cleanup(func() {
		_, err := api.ImageRemove(context.WithoutCancel(t.Context()), s.image(), image.RemoveOptions{Force: true})
		if err != nil && !strings.Contains(err.Error(), "No such image") {
			t.Errorf("remove the image: %v", err)
		}
	})
	return s
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func (s *registryServer) image() string { return s.host + "/app:1" }

func (s *registryServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.busy {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}`))
		return
	}
	user, password, _ := r.BasicAuth()
	if s.password != "" && (user != "puller" || password != s.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}`, http.StatusUnauthorized)
		return
	}
	kind, name, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/app/"), "/")
	data := s.blobs[name]
	switch {
	case r.URL.Path == "/v2/":
	case found && kind == "manifests" && (name == "1" || name == digest(s.manifest)):
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digest(s.manifest))
		_, _ = w.Write(s.manifest)
	case found && kind == "blobs" && data != nil:
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if s.layer != nil && len(data) > 100_000 && s.layer(w, r) != nil {
			return
		}
		_, _ = w.Write(data)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}`))
	}
}

func TestPull(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	s.password = "pull s3cret"
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(s.password+"\n"), 0o600))
	auth := func(key, value string) doc {
		return doc{"registries": doc{s.host: doc{"username": "puller", key: value}}}
	}
	fail := func(image string, more doc) error {
		f := setup(t, typeDocker, doc{"image": image, "cmd": "true"}, more)
		_, err := f.runner.Run(t.Context(), f.req, f.out)
		require.Error(t, err)
		_, stderr, _ := f.out.Text()
		require.Equal(t, "stroem: Pulling "+image+" …\n", stderr)
		require.NotContains(t, err.Error(), "s3cret")
		return err
	}
	err := fail(s.image(), nil)
	require.Equal(t, pluginapi.CodeDenied, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, `set registries."`+s.host+`" in the plugin's config`)
	err = fail(s.image(), auth("password", "wrong"))
	require.Equal(t, pluginapi.CodeDenied, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, `check registries."`+s.host+`"`)
	err = fail(s.host+"/app:2", auth("password", s.password))
	require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, `the image "`+s.host+`/app:2" does not exist in the registry `+s.host)
	err = fail("127.0.0.1:1/app:1", nil)
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "the registry 127.0.0.1:1 of the image")

	run := func(more doc) string {
		f := setup(t, typeDocker, doc{"image": s.image(), "cmd": "echo pulled"}, more)
		result, err := f.runner.Run(t.Context(), f.req, f.out)
		require.NoError(t, err)
		require.Equal(t, exit(0), *result)
		stdout, stderr, _ := f.out.Text()
		require.Equal(t, "pulled\n", stdout)
		return stderr
	}
	stderr := run(auth("password_file", file))
	require.Contains(t, stderr, "Pulling "+s.image()+" …\n")
	require.Contains(t, stderr, ": "+digest(s.manifest)+"\n")
	require.Empty(t, run(nil), "it is there, so nobody asks for it")
	always := auth("password", s.password)
	always["pull_policy"] = pullAlways
	require.Contains(t, run(always), "it was there already")
	err = fail(s.image(), doc{"pull_policy": pullAlways})
	require.Equal(t, pluginapi.CodeDenied, pluginapi.CodeOf(err), "%v", err)
}

// slow has the registry serve a layer that never comes to its end, and returns a channel that is closed when it has begun.
func (s *registryServer) slow() <-chan struct{} {
	begun := make(chan struct{})
	var once sync.Once
	s.layer = func(w http.ResponseWriter, r *http.Request) error {
		_, _ = w.Write(make([]byte, 1000))
		w.(http.Flusher).Flush()
		once.Do(func() { close(begun) })
		<-r.Context().Done()
		return errors.New("given up")
	}
	return begun
}

func TestPullMessages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"status": "Downloading", "progressDetail": {"current": 1, "total": 2}, "id": "a"}`: "",
		`{"errorDetail": {"message": "no"}, "error": "no"}`:                                  "no",
		`{"errorDetail": {"message": "no"}}`:                                                 "no",
		`{"error": "no"}`:                                                                    "no",
	} {
		var m pullMessage
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		require.Equal(t, want, m.failure(), text)
	}
}

func TestRegistryThatLimitsPulls(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	s.busy = true
	f := setup(t, typeDocker, doc{"image": s.image(), "cmd": "true"}, nil)
	_, err := f.runner.Run(t.Context(), f.req, f.out)
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "the registry "+s.host+" takes no more pulls for now: set registries.")
}

func TestStopWhilePulling(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	begun := s.slow()
	f := setup(t, typeDocker, doc{"image": s.image(), "cmd": "true"}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-begun
		cancel(pluginapi.ErrStopped)
	}()
	_, err := f.runner.Run(ctx, f.req, f.out)
	require.Equal(t, pluginapi.CodeCanceled, pluginapi.CodeOf(err), "%v", err)
}

func TestPullLimit(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	s.slow()
	f := setup(t, typeDocker, doc{"image": s.image(), "cmd": "true"}, doc{"pull_timeout_secs": 1})
	_, err := f.runner.Run(t.Context(), f.req, f.out)
	require.Equal(t, pluginapi.CodeTimeout, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "pull_timeout_secs")
}
