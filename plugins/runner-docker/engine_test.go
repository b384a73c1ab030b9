package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/dockerd"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/localimage"
)

func TestMain(m *testing.M) {
	dockerd.Inside()
	plugintest.Init()
	var err error
	if binaryDir, err = os.MkdirTemp("", "runner-docker-test"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binaryDir)
		if err := removeImages(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

var binaryDir string

// buildBinary compiles the plugin once.
var buildBinary = sync.OnceValues(func() (string, error) {
	return plugintest.Build(context.Background(), binaryDir, ".")
})

func pluginBinary(t testing.TB) string {
	t.Helper()
	path, err := buildBinary()
	require.NoError(t, err)
	return path
}

// engine returns a client of the engine for tests.
func engine(t testing.TB) *client.Client {
	t.Helper()
	api, err := connectTo(engines.Docker(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	return api
}

func connectTo(host string) (*client.Client, error) {
	return client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
}

// Images are made once for all tests; the name says whose they are.
var (
	imagesMu sync.Mutex
	images   = map[string]error{}
)

// testImage returns an image with busybox in it, and what else the changes to it say, such as ENTRYPOINT.
func testImage(t testing.TB, changes ...string) string {
	t.Helper()
	api := engine(t)
	imagesMu.Lock()
	defer imagesMu.Unlock()
	ref := fmt.Sprintf("stroem-test-%d/busybox:%x", os.Getpid(), sha256.Sum256([]byte(strings.Join(changes, ";"))))
	err, ok := images[ref]
	if !ok {
		var files []byte
		if files, err = busybox(t.Context()); err == nil {
			err = importImage(t.Context(), api, ref, files, changes)
		}
		images[ref] = err
	}
	require.NoError(t, err)
	return ref
}

func importImage(ctx context.Context, api *client.Client, ref string, files []byte, changes []string) error {
	stream, err := api.ImageImport(ctx, image.ImportSource{Source: bytes.NewReader(files), SourceName: "-"}, ref,
		image.ImportOptions{Changes: changes})
	if err != nil {
		return fmt.Errorf("import a test image: %w", err)
	}
	text, err := io.ReadAll(stream)
	if err = errors.Join(err, stream.Close()); err != nil || bytes.Contains(text, []byte(`"error"`)) {
		return fmt.Errorf("import a test image: %w: %s", err, text)
	}
	return nil
}

// busybox returns the files of the smallest image that has a shell.
func busybox(ctx context.Context) ([]byte, error) { return localimage.Image{}.Files(ctx) }

// removeImages removes those that were made, for which there is an engine then.
func removeImages() error {
	if len(images) == 0 {
		return nil
	}
	api, err := connectTo(os.Getenv(engines.DockerHost))
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	for ref := range images {
		_, removeErr := api.ImageRemove(context.Background(), ref, image.RemoveOptions{})
		err = errors.Join(err, removeErr)
	}
	return err
}

// nothingLeft checks that the engine has nothing of a run any more.
func nothingLeft(t testing.TB, api *client.Client, runID string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	containers, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: ofRun(runID)})
	require.NoError(t, err)
	for _, c := range containers {
		t.Errorf("the container %s is left of the run %s, %s", c.Names, runID, c.Status)
	}
	volumes, err := api.VolumeList(ctx, volume.ListOptions{Filters: ofRun(runID)})
	require.NoError(t, err)
	for _, v := range volumes.Volumes {
		t.Errorf("the volume %s is left of the run %s", v.Name, runID)
	}
}

// settings returns the plugin's configuration for the engine for tests.
func settings(t testing.TB, more map[string]any) json.RawMessage {
	t.Helper()
	all := map[string]any{"host": engines.Docker(t), "startup_dir": t.TempDir()}
	maps.Copy(all, more)
	data, err := json.Marshal(all)
	require.NoError(t, err)
	return data
}
