//go:build linux

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/dockerd"
	"github.com/stroem/stroem/tests/engines"
)

// ownEngine is an engine that a test may stop and kill, with the image for tests. Whoever ends its daemon, it starts anew.
type ownEngine struct {
	*dockerd.Engine
	api   *client.Client
	image string
}

func newEngine(t *testing.T, liveRestore bool) *ownEngine {
	t.Helper()
	engines.Docker(t) // where tests get one, this can start one
	if _, err := exec.LookPath("dockerd"); (err != nil || os.Getuid() != 0) && !engines.Required("docker") {
		t.Skip("a Docker engine of the test's own takes dockerd and root")
	}
	started, err := dockerd.Start(t.Context(), dockerd.Options{LiveRestore: liveRestore, Supervised: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Stop()) })
	api, err := connectTo(started.Host())
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	files, err := busybox(t.Context())
	require.NoError(t, err)
	e := &ownEngine{Engine: started, api: api, image: "test/busybox:1"}
	require.NoError(t, importImage(t.Context(), api, e.image, files, []string{"VOLUME /data"}))
	return e
}

func (e *ownEngine) setup(t *testing.T, actionType string, spec doc) *fixture {
	t.Helper()
	spec["image"] = e.image
	return setupOn(t, e.api, actionType, spec, doc{"host": e.Host(), "workspace": workspaceVolume})
}

// requireEmpty looks for whatever steps have left, those volumes included that nothing tells of whose they are.
func (e *ownEngine) requireEmpty(t *testing.T) {
	t.Helper()
	containers, err := e.api.ContainerList(t.Context(), container.ListOptions{All: true})
	require.NoError(t, err)
	for _, c := range containers {
		t.Errorf("the container %s is left, %s", c.Names, c.Status)
	}
	volumes, err := e.api.VolumeList(t.Context(), volume.ListOptions{})
	require.NoError(t, err)
	for _, v := range volumes.Volumes {
		t.Errorf("the volume %s is left: %v", v.Name, v.Labels)
	}
}

// run is one that is under way.
type run struct {
	*fixture
	ended  chan struct{}
	result *pluginapi.Result
	err    error
}

// begin runs the step, and returns when it has written something.
func (f *fixture) begin(t *testing.T) *run {
	t.Helper()
	r := &run{fixture: f, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.result, r.err = f.runner.Run(t.Context(), f.req, f.out)
	}()
	select {
	case <-f.out.HasOutput():
	case <-r.ended:
		require.FailNow(t, "it has ended", "%v %v", r.result, r.err)
	}
	return r
}

// TestRestartOfTheEngine: without live-restore containers end with their engine, whether it is told to end or killed; a step that
// was ended so has not succeeded, whatever it says.
func TestRestartOfTheEngine(t *testing.T) {
	t.Parallel()
	e := newEngine(t, false)
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		runs := map[string]*run{
			"shell":     e.setup(t, typeShell, doc{"cmd": "echo ready; sleep 600"}).begin(t),
			"tidies up": e.setup(t, typeShell, doc{"cmd": "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"}).begin(t),
			"image":     e.setup(t, typeDocker, doc{"command": []string{"sh", "-c", "echo ready; exec sleep 600"}}).begin(t),
		}
		require.NoError(t, e.Restart(t.Context(), end))
		for name, r := range runs {
			<-r.ended
			require.NoError(t, r.err, "%s, %v", name, end)
			require.NotZero(t, r.result.ExitCode, "%s, %v", name, end)
			require.Contains(t, r.result.Message, "the Docker engine was away while the step ran, and may have ended it")
		}
		e.requireEmpty(t)
	}
}

// TestLiveRestore: containers go on while there is no engine; nothing of a step is lost.
func TestLiveRestore(t *testing.T) {
	t.Parallel()
	e := newEngine(t, true)
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		r := e.setup(t, typeShell, doc{
			"cmd": "i=0; while [ $i -lt 40 ]; do echo out$i; i=$((i+1)); sleep 0.05; done; exit 5",
		}).begin(t)
		require.NoError(t, e.Restart(t.Context(), end))
		<-r.ended
		require.NoError(t, r.err)
		require.Equal(t, 5, r.result.ExitCode)
		stdout, _, _ := r.out.Text()
		var want strings.Builder
		for n := range 40 {
			want.WriteString("out" + strconv.Itoa(n) + "\n")
		}
		require.Equal(t, want.String(), stdout)
		e.requireEmpty(t)
	}
}
