package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestMain(m *testing.M) {
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

// engineHost is the variable that names the engine for tests.
const engineHost = "STROEM_TEST_DOCKER_HOST"

const localSocket = "/var/run/docker.sock"

// errNoEngine means that there is no engine to test with.
var errNoEngine = errors.New("no Docker engine answers; start one, or name one in " + engineHost)

// findEngine returns the address of the engine for tests.
var findEngine = sync.OnceValues(func() (string, error) {
	host := os.Getenv(engineHost)
	if host == "" {
		host = "unix://" + localSocket
	}
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return "", err
	}
	defer func() { _ = api.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := api.Ping(ctx); err != nil {
		if os.Getenv(engineHost) != "" {
			return "", err
		}
		return "", errNoEngine
	}
	return host, nil
})

// engine returns a client of the engine for tests. Without one the test is skipped, or fails if STROEM_TEST_REQUIRE names
// docker.
func engine(t testing.TB) *client.Client {
	t.Helper()
	host, err := findEngine()
	if errors.Is(err, errNoEngine) && !slices.Contains(strings.Split(os.Getenv("STROEM_TEST_REQUIRE"), ","), "docker") {
		t.Skip(err)
	}
	require.NoError(t, err)
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	return api
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
	ref := fmt.Sprintf("stroem-test-%d/busybox:%x", os.Getpid(), strings.Join(changes, ";"))
	if len(ref) > 120 {
		ref = ref[:120]
	}
	if strings.HasSuffix(ref, ":") {
		ref += "1"
	}
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
func busybox(ctx context.Context) ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("images for tests are made of busybox; install busybox-static: %w", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	applets, err := exec.CommandContext(ctx, path, "--list").Output()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	p := packer{w: tar.NewWriter(&buf), now: time.Now()}
	p.dir("/bin", 0o755)
	p.dir("/tmp", 0o1777)
	p.dir("/etc", 0o755)
	p.file("/etc/passwd", []byte("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"))
	p.header(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755, Size: int64(len(program))})
	if p.err == nil {
		_, p.err = p.w.Write(program)
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			p.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777})
		}
	}
	return buf.Bytes(), errors.Join(p.err, p.w.Close())
}

func removeImages() error {
	host, err := findEngine()
	if err != nil {
		return nil // there is no engine, and so nothing was made
	}
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
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
	host, err := findEngine()
	require.NoError(t, err)
	all := map[string]any{"host": host, "startup_dir": t.TempDir()}
	maps.Copy(all, more)
	data, err := json.Marshal(all)
	require.NoError(t, err)
	return data
}
