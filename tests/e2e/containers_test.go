package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/localimage"
)

// engine runs shell actions in containers or pods of its own.
type engine struct {
	t         *testing.T
	runner    string // of actions
	plugin    string // the program's file
	listen    string // for a server that steps can reach; "": anywhere
	worker    settings
	namespace string        // of pods
	left      func() string // lists what there is of steps
	specs     func() string // shows what anybody may read who may list what there is
}

// dockerEngine makes an image of busybox on the Docker engine.
func dockerEngine(t *testing.T) *engine {
	t.Helper()
	host := engines.Docker(t)
	image := localimage.Image{
		Name: "stroem-e2e:" + strconv.FormatInt(time.Now().UnixNano(), 36), Command: []string{"sh"}, // an image of each test's own tells its containers
	}
	docker := func(stdin io.Reader, args ...string) string {
		cmd := exec.Command("docker", append([]string{"-H", host}, args...)...) //nolint:noctx // also after the test
		cmd.Stdin = stdin
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	var archive bytes.Buffer
	require.NoError(t, image.Write(t.Context(), &archive))
	docker(&archive, "load")
	t.Cleanup(func() { docker(nil, "rmi", "-f", image.Name) })
	return &engine{
		t: t, runner: "docker", plugin: "runner-docker",
		worker: settings{"docker": settings{"host": host}, "runner_image": image.Name},
		left:   func() string { return docker(nil, "ps", "-aq", "--filter", "ancestor="+image.Name) },
		specs:  func() string { return docker(nil, "ps", "-a", "--no-trunc", "--filter", "ancestor="+image.Name) },
	}
}

// kubeEngine makes a namespace in the cluster.
func kubeEngine(t *testing.T) *engine {
	t.Helper()
	config, address := engines.Kube(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address+":0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	cluster := newCluster(t, config)
	return &engine{
		t: t, runner: "pod", plugin: "runner-kube", listen: listener.Addr().String(),
		worker: settings{
			"kubernetes": settings{"namespace": cluster.namespace, "init_image": engines.KubeTools}, "runner_image": engines.KubeBusybox,
			"plugins": settings{"dir": filepath.Join(bin, "plugins"), "runner-kube": settings{"config": settings{"kubeconfig": config}}},
		},
		left: cluster.left, specs: cluster.specs, namespace: cluster.namespace,
	}
}

// system starts a server whose workspaces' shell actions run on the engine.
func (e *engine) system(workspaces map[string]string) *system {
	e.t.Helper()
	for _, dir := range workspaces {
		e.moveTo(dir)
	}
	s := configure(e.t, coretest.Postgres(e.t), workspaces, nil)
	if e.listen != "" {
		s.reachableAt(e.listen)
	}
	s.startServer()
	return s
}

// moveTo rewrites the workflows of a workspace: shell actions get the engine's runner.
func (e *engine) moveTo(dir string) {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, ".workflows", "*.yaml"))
	require.NoError(e.t, err)
	require.NotEmpty(e.t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(e.t, err)
		var document map[string]any
		require.NoError(e.t, yaml.Unmarshal(content, &document))
		actions, ok := document["actions"].(map[string]any)
		require.True(e.t, ok, "%s has no actions", file)
		for name, action := range actions {
			fields, ok := action.(map[string]any)
			require.True(e.t, ok, name)
			if fields["type"] == "shell" {
				fields["runner"] = e.runner
			}
		}
		writeYAML(e.t, file, document)
	}
}

// nothingLeft waits until the engine has nothing of steps any more.
func (e *engine) nothingLeft(s *system) {
	e.t.Helper()
	s.eventually("nothing is left on the engine", func(ctx context.Context) bool { return e.left() == "" })
}
