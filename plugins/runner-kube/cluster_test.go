package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/engines"
)

// Images that the cluster of the tests has.
const (
	busybox = engines.KubeBusybox
	tools   = engines.KubeTools
)

// kubeconfig returns that of the cluster of the tests.
func kubeconfig(t testing.TB) string {
	t.Helper()
	file, _ := engines.Kube(t)
	return file
}

// settings are those of a runner in a namespace, with what more says.
func settings(t testing.TB, namespace string, more map[string]any) json.RawMessage {
	t.Helper()
	all := map[string]any{
		"kubeconfig": kubeconfig(t), "namespace": namespace, "init_image": tools, "runner_image": busybox,
	}
	maps.Copy(all, more)
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return text
}

// testNamespace makes a namespace for a test. When the test has ended, nothing of its runs may be left in it.
func testNamespace(t testing.TB) (string, *cluster) {
	t.Helper()
	c, err := connect(&config{Kubeconfig: kubeconfig(t), Namespace: "default"})
	require.NoError(t, err)
	made, err := c.core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "stroem-test-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.namespace = made.Name
	t.Cleanup(func() {
		require.NoError(t, c.core.Namespaces().Delete(context.WithoutCancel(t.Context()), made.Name, metav1.DeleteOptions{}))
	})
	account := awaited(t, func() (*corev1.ServiceAccount, error) {
		return c.core.ServiceAccounts(c.namespace).Get(t.Context(), "default", metav1.GetOptions{})
	})
	require.Equal(t, "default", account.Name)
	return made.Name, c
}

// through is the cluster as an account sees it, each of whose calls goes through something of the test's own.
func (c *cluster) through(t testing.TB, kubeconfig string, wrap func(http.RoundTripper) http.RoundTripper) *cluster {
	t.Helper()
	settings, _, err := clientConfig(&config{Kubeconfig: kubeconfig})
	require.NoError(t, err)
	settings.Wrap(wrap)
	wrapped := &cluster{address: c.address, namespace: c.namespace, auth: c.auth}
	wrapped.core, err = corev1client.NewForConfig(settings)
	require.NoError(t, err)
	return wrapped
}

// awaited asks for something that Kubernetes is about to make.
func awaited[T any](t testing.TB, get func() (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		object, err := get()
		if err == nil {
			return object
		}
		require.True(t, apierrors.IsNotFound(err), "%v", err)
		require.True(t, pause(ctx, 50*time.Millisecond), "%v", err)
	}
}

// nothingLeft checks that nothing of a run is left in a namespace.
func (c *cluster) nothingLeft(t testing.TB) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	pods, err := c.core.Pods(c.namespace).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	for _, pod := range pods.Items {
		t.Errorf("the pod %s is left: %s %v", pod.Name, pod.Status.Phase, pod.DeletionTimestamp)
	}
	secrets, err := c.core.Secrets(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: labelApp + "=" + appValue})
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		t.Errorf("the Secret %s is left", secret.Name)
	}
	maps, err := c.core.ConfigMaps(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: labelApp + "=" + appValue})
	require.NoError(t, err)
	require.Empty(t, maps.Items)
}

// newTestRunner returns a runner in a namespace of its own, and the cluster to look at.
func newTestRunner(t testing.TB, more map[string]any) (*runner, *cluster) {
	t.Helper()
	namespace, c := testNamespace(t)
	r := newRunner(pluginapi.NewLogger())
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, namespace, more)}))
	t.Cleanup(func() { c.nothingLeft(t) })
	return r, c
}

// files serves a workspace, as the server does, to pods on the cluster's nodes.
type files struct {
	URL   string
	Token string
}

// serveFiles serves files by their names; those that begin with a shebang are executable.
func serveFiles(t plugintest.TB, content map[string]string) files {
	t.Helper()
	return serveFilesBy(t, content, func(w http.ResponseWriter, archive []byte) { _, _ = w.Write(archive) })
}

// serveFilesBy calls answer for each download.
func serveFilesBy(t plugintest.TB, content map[string]string, answer func(w http.ResponseWriter, archive []byte)) files {
	t.Helper()
	archive := pack(t, content)
	f := files{Token: "workspace-token-" + hash(t.TempDir(), 16)}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(hostAddress(), "0"))
	if err != nil {
		t.Fatalf("listen where pods can reach it: %v", err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Bearer "+f.Token {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(archive)))
		answer(w, archive)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	f.URL = server.URL + "/workspace.tar.gz"
	return f
}

// hostAddress is where pods reach servers of the tests.
func hostAddress() string { return os.Getenv(engines.KubeHostAddress) }

func pack(t plugintest.TB, content map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	w := tar.NewWriter(zip)
	fail := func(err error) {
		if err != nil {
			t.Fatalf("make an archive: %v", err)
		}
	}
	for name, text := range content {
		mode := int64(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		fail(w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text))}))
		_, err := w.Write([]byte(text))
		fail(err)
	}
	fail(w.Close())
	fail(zip.Close())
	return buf.Bytes()
}

func (f files) workspace() pluginapi.Workspace {
	return pluginapi.Workspace{URL: f.URL, Token: f.Token}
}
