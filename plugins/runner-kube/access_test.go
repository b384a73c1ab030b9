package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/stroem/stroem/pluginapi"
)

// weak makes a service account with the rights, and returns a kubeconfig of it.
func (c *cluster) weak(t *testing.T, rules []rbacv1.PolicyRule) string {
	t.Helper()
	ctx := t.Context()
	_, err := c.core.ServiceAccounts(c.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "weak"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	settings, _, err := clientConfig(&config{Kubeconfig: kubeconfig(t)})
	require.NoError(t, err)
	rbac, err := rbacclient.NewForConfig(settings)
	require.NoError(t, err)
	_, err = rbac.Roles(c.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "weak"}, Rules: rules}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = rbac.RoleBindings(c.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "weak"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "weak"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "weak", Namespace: c.namespace}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	token, err := c.core.ServiceAccounts(c.namespace).CreateToken(ctx, "weak", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	file := clientcmdapi.NewConfig()
	file.Clusters["k"] = &clientcmdapi.Cluster{Server: settings.Host, CertificateAuthority: settings.CAFile}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	file.Contexts["c"] = &clientcmdapi.Context{Cluster: "k", AuthInfo: "u", Namespace: c.namespace}
	file.CurrentContext = "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*file, path))
	return path
}

func TestMissingRightsAreListed(t *testing.T) {
	t.Parallel()
	_, c := testNamespace(t)
	path := c.weak(t, []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get", "list"}}})
	r := newRunner(pluginapi.NewLogger())
	err := r.Configure(t.Context(), &pluginapi.Config{Settings: fmt.Appendf(nil, `{"kubeconfig": %q}`, path)})
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
	require.ErrorContains(t, err, "in the namespace "+c.namespace+" these rights are missing: "+
		"create secrets, delete pods, delete secrets, get pods/log, patch secrets, watch events, watch pods; apply this Role")
	require.ErrorContains(t, err, roleFor(c.namespace))
}

// TestTheRoleSuffices runs a step with what the documentation says, and nothing more.
func TestTheRoleSuffices(t *testing.T) {
	t.Parallel()
	_, c := testNamespace(t)
	var rules []rbacv1.PolicyRule
	for _, r := range needed {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{r.name()}, Verbs: r.verbs})
	}
	path := c.weak(t, rules)
	r := newRunner(pluginapi.NewLogger())
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: fmt.Appendf(nil, `{"kubeconfig": %q}`, path)}))
	health, err := r.CheckHealth(t.Context())
	require.NoError(t, err)
	require.Equal(t, &pluginapi.Health{State: pluginapi.Healthy}, health)
	req := request(t, map[string]any{"cmd": "echo out; sleep 2; exit 3"}, nil)
	result, out, err := run(t, r, req)
	require.NoError(t, err)
	require.Equal(t, 3, result.ExitCode)
	require.Equal(t, "out\n", text(out))
	require.NoError(t, r.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: req.RunID}))
	c.nothingLeft(t)
	document, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(t, err)
	require.Contains(t, string(document), roleFor("stroem-steps"))
}

func TestNamespaceThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRunner(pluginapi.NewLogger())
	err := r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, "no-such-namespace", nil)})
	require.ErrorContains(t, err, "the namespace no-such-namespace does not exist on https://")
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
}

// TestSecretsAreNowhere runs a step with values that nobody else has, and looks for them wherever people can look.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	workspace := serveFiles(t, map[string]string{"f": "x"})
	secret := "secret-value-" + hash(t.TempDir(), 16)
	req := request(t, map[string]any{"cmd": "token=" + secret + "; echo ready; sleep 100"}, &workspace)
	req.Env["PASSWORD"] = secret
	u := r.start(t, req)
	var seen strings.Builder
	pod := c.podOf(t, req, func(pod *corev1.Pod) bool {
		seen.WriteString(pod.String())
		look(t, &seen, "/proc/*/cmdline")
		return pod.Status.Phase == corev1.PodRunning && judge(pod, false).started
	})
	soon(t, "output", u.out.HasOutput())
	look(t, &seen, "/proc/*/cmdline")
	require.Contains(t, seen.String(), "/stroem-init/init", "the processes of the node are seen")
	events, err := c.core.Events(c.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	seen.WriteString(events.String())
	for _, container := range []string{stepContainer, initContainer} {
		log, err := c.core.Pods(c.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container}).DoRaw(t.Context())
		require.NoError(t, err)
		seen.Write(log)
	}
	seen.Write(u.out.State())
	u.cancel(pluginapi.ErrStopped)
	soon(t, "the end", u.ended)
	seen.WriteString(text(u.out) + fmt.Sprint(u.result, u.err))
	require.NotContains(t, seen.String(), secret)
	require.NotContains(t, seen.String(), workspace.Token)
}

// look takes in what the files hold.
func look(t *testing.T, into *strings.Builder, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	for _, name := range names {
		content, _ := os.ReadFile(name) // processes end
		into.Write(content)
	}
}

// TestConfiguredPods looks at what the configuration changes in a pod.
func TestConfiguredPods(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, map[string]any{
		"pod_labels": map[string]string{"team": "a", labelApp: "no"}, "pod_annotations": map[string]string{"a/b": "c"},
		"tolerations": []any{map[string]any{"key": "ci", "operator": "Exists"}}, "image_pull_policy": "IfNotPresent",
		"image_pull_secrets": []string{"registry"}, "node_selector": map[string]string{"kubernetes.io/os": "linux"},
	})
	req := request(t, map[string]any{"cmd": "ls /var/run/secrets 2>&1; env | grep -c SERVICE_HOST; sleep 1", "resources": map[string]any{"cpu": "100m", "memory": "32Mi"}}, nil)
	u := r.start(t, req)
	pod := c.podOf(t, req, func(*corev1.Pod) bool { return true })
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, "ls: /var/run/secrets: No such file or directory\n1\n", stdout(u.out), "there is no token, and no service but the API server")
	require.Equal(t, appValue, pod.Labels[labelApp])
	require.Equal(t, "a", pod.Labels["team"])
	require.Equal(t, "my-step", strings.TrimSuffix(strings.TrimPrefix(pod.Name, "stroem-0a1b2c3d-"), "-"+hash(req.RunID, 10)))
	require.Equal(t, "My Step", pod.Annotations[labelStep])
	require.Equal(t, corev1.PodQOSGuaranteed, pod.Status.QOSClass)
	require.Equal(t, "ci", pod.Spec.Tolerations[0].Key)
	require.Equal(t, corev1.PullIfNotPresent, pod.Spec.Containers[0].ImagePullPolicy)
	require.Equal(t, "registry", pod.Spec.ImagePullSecrets[0].Name)
}
