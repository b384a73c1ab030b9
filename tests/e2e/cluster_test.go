package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// cluster is a namespace of the test's own.
type cluster struct {
	t         *testing.T
	client    *kubernetes.Clientset
	namespace string
}

func newCluster(t *testing.T, kubeconfig string) *cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	c := &cluster{t: t}
	c.client, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	made, err := c.client.CoreV1().Namespaces().Create(t.Context(), &core.Namespace{ObjectMeta: meta.ObjectMeta{GenerateName: "e2e-"}}, meta.CreateOptions{})
	require.NoError(t, err)
	c.namespace = made.Name
	t.Cleanup(func() {
		require.NoError(t, c.client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), c.namespace, meta.DeleteOptions{}))
	})
	return c
}

// left names the pods and secrets in the namespace.
func (c *cluster) left() string {
	c.t.Helper()
	var names []string
	pods, err := c.client.CoreV1().Pods(c.namespace).List(c.t.Context(), meta.ListOptions{})
	require.NoError(c.t, err)
	for _, pod := range pods.Items {
		names = append(names, "pod "+pod.Name)
	}
	secrets, err := c.client.CoreV1().Secrets(c.namespace).List(c.t.Context(), meta.ListOptions{})
	require.NoError(c.t, err)
	for _, secret := range secrets.Items {
		names = append(names, "secret "+secret.Name)
	}
	return strings.Join(names, ", ")
}

// specs are the pods and events of the namespace as JSON.
func (c *cluster) specs() string {
	c.t.Helper()
	pods, err := c.client.CoreV1().Pods(c.namespace).List(c.t.Context(), meta.ListOptions{})
	require.NoError(c.t, err)
	require.NotEmpty(c.t, pods.Items)
	events, err := c.client.CoreV1().Events(c.namespace).List(c.t.Context(), meta.ListOptions{})
	require.NoError(c.t, err)
	text, err := json.Marshal([]any{pods, events})
	require.NoError(c.t, err)
	return string(text)
}
