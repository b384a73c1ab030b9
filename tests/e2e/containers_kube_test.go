package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/stroem/stroem/tests/engines"
)

const greeting = `
actions:
  greet:
    type: shell
    cmd: echo "$(cat greeting.txt) $INPUT_NAME"; exit "$INPUT_CODE"
    input: {name: {type: string}, code: {type: integer, default: 0}}
  wait: {type: shell, cmd: echo waiting; sleep 300}
tasks:
  greet: {flow: {s: {action: greet, input: {name: you}}}}
  fail: {flow: {s: {action: greet, input: {name: you, code: 3}}}}
  wait: {flow: {s: {action: wait}}}
`

// TestKubeWorkerInAPod has a worker run in a pod, as the documentation says: with the account and the rights that are written
// there, and what Kubernetes gives every pod. No more is set than where its steps run.
func TestKubeWorkerInAPod(t *testing.T) {
	t.Parallel()
	e := kubeEngine(t)
	files := workspace(t, greeting)
	require.NoError(t, os.WriteFile(filepath.Join(files["default"], "greeting.txt"), []byte("hello\n"), 0o600))
	s := e.system(files)
	config, address := engines.Kube(t)
	workers := newCluster(t, config)
	workers.applyDocumented(e.namespace)
	workers.runWorker(address, settings{
		"server_url": "http://" + s.listen, "worker_token": token, "worker_name": "w", "data_dir": "/data", "stop_grace_secs": 1,
		"plugins":    settings{"dir": "/opt/plugins"},
		"kubernetes": settings{"namespace": e.namespace, "init_image": engines.KubeTools}, "runner_image": engines.KubeBusybox,
	})
	s.eventually("the worker in the pod is registered", func(ctx context.Context) bool { return s.registrations(ctx, "w") > 0 })

	id := s.execute("default", "greet", nil)
	require.Equal(t, "completed", s.wait(id).Status)
	require.Equal(t, []string{"hello you"}, s.linesOf(id)["stdout"])
	failed := s.wait(s.execute("default", "fail", nil))
	require.Contains(t, *failed.Steps[0].ErrorMessage, "Exit code: 3")
	id = s.execute("default", "wait", nil)
	s.eventually("the step runs", func(context.Context) bool { return len(s.linesOf(id)["stdout"]) > 0 })
	_, err := s.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "cancelled", s.wait(id).Status)
	e.nothingLeft(s)
}

// applyDocumented makes what docs/kubernetes.md says that a worker in this namespace needs for steps in the other.
func (c *cluster) applyDocumented(steps string) {
	c.t.Helper()
	document, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(c.t, err)
	_, manifest, found := strings.Cut(string(document), "```yaml\napiVersion: v1\nkind: ServiceAccount\n")
	require.True(c.t, found)
	manifest, _, _ = strings.Cut("apiVersion: v1\nkind: ServiceAccount\n"+manifest, "```")
	manifest = strings.NewReplacer("namespace: stroem-steps}", "namespace: "+steps+"}", "namespace: stroem}", "namespace: "+c.namespace+"}").Replace(manifest)
	for text := range strings.SplitSeq(manifest, "---\n") {
		object, err := runtime.Decode(scheme.Codecs.UniversalDeserializer(), []byte(text))
		require.NoError(c.t, err, text)
		switch o := object.(type) {
		case *core.ServiceAccount:
			_, err = c.client.CoreV1().ServiceAccounts(o.Namespace).Create(c.t.Context(), o, meta.CreateOptions{})
		case *rbac.Role:
			_, err = c.client.RbacV1().Roles(o.Namespace).Create(c.t.Context(), o, meta.CreateOptions{})
		case *rbac.RoleBinding:
			_, err = c.client.RbacV1().RoleBindings(o.Namespace).Create(c.t.Context(), o, meta.CreateOptions{})
		default:
			c.t.Fatalf("what is %T for?", o)
		}
		require.NoError(c.t, err, text)
	}
}

// runWorker runs a worker in a pod. The programs come from this machine, since there is no image of them.
func (c *cluster) runWorker(address string, config settings) {
	t := c.t
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address+":0")
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.FileServer(http.Dir(bin))}}
	server.Start()
	t.Cleanup(server.Close)
	text, err := yaml.Marshal(config)
	require.NoError(t, err)
	_, err = c.client.CoreV1().Secrets(c.namespace).Create(t.Context(), &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: "worker"}, Data: map[string][]byte{"worker.yaml": text},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	_, err = c.client.CoreV1().Pods(c.namespace).Create(t.Context(), &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: "worker"},
		Spec: core.PodSpec{
			ServiceAccountName: "stroem-worker", TerminationGracePeriodSeconds: new(int64(5)),
			Containers: []core.Container{{
				Name: "worker", Image: engines.KubeTools,
				Command: []string{"sh", "-ec", `
mkdir -p /opt/plugins
for program in stroem-worker plugins/runner-kube; do
	curl -fsS -o /opt/$program ` + server.URL + `/$program
	chmod 755 /opt/$program
done
exec /opt/stroem-worker -c /config/worker.yaml`},
				VolumeMounts: []core.VolumeMount{{Name: "config", MountPath: "/config"}},
			}},
			Volumes: []core.Volume{{Name: "config", VolumeSource: core.VolumeSource{Secret: &core.SecretVolumeSource{SecretName: "worker"}}}},
		},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		log, err := c.client.CoreV1().Pods(c.namespace).GetLogs("worker", &core.PodLogOptions{}).Stream(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Log(err)
			return
		}
		said, _ := io.ReadAll(log)
		t.Logf("log of the worker in the pod:\n%s", lastLines(string(said), 60))
	})
}
