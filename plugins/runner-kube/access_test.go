package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
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

// documentedRole is what docs/kubernetes.md says.
func documentedRole(t *testing.T) *rbacv1.Role {
	t.Helper()
	document, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(document), "kind: Role\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "---\n")
	object, err := runtime.Decode(scheme.Codecs.UniversalDeserializer(), []byte("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"+text))
	require.NoError(t, err)
	role, ok := object.(*rbacv1.Role)
	require.True(t, ok)
	return role
}

// used notes what is asked of an API server, as rights in a namespace.
type used struct {
	http.RoundTripper
	mu     sync.Mutex
	rights map[string]bool
}

func (u *used) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, path, is := strings.Cut(req.URL.Path, "/api/v1/namespaces/"); is {
		parts := strings.Split(path, "/") // namespace, resource, name, subresource
		verb := map[string]string{http.MethodPost: "create", http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodGet: "get"}[req.Method]
		switch {
		case req.URL.Query().Has("watch"):
			verb = "watch"
		case verb == "get" && len(parts) == 2:
			verb = "list"
		}
		right := verb + " " + parts[1]
		if len(parts) > 3 {
			right += "/" + parts[3]
		}
		u.mu.Lock()
		u.rights[right] = true
		u.mu.Unlock()
	}
	return u.RoundTripper.RoundTrip(req)
}

// TestTheRoleSuffices does all that the runner does with the Role of the documentation, and needs all of it.
func TestTheRoleSuffices(t *testing.T) {
	t.Parallel()
	_, c := testNamespace(t)
	role := documentedRole(t)
	path := c.weak(t, role.Rules)
	r := newRunner(pluginapi.NewLogger())
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: fmt.Appendf(nil, `{"kubeconfig": %q}`, path)}))
	health, err := r.CheckHealth(t.Context())
	require.NoError(t, err)
	require.Equal(t, &pluginapi.Health{State: pluginapi.Healthy}, health)
	server := &used{rights: map[string]bool{}}
	r.cluster = c.through(t, path, func(next http.RoundTripper) http.RoundTripper {
		server.RoundTripper = next
		return server
	})
	req := request(t, map[string]any{"cmd": "echo out; sleep 2; exit 3"}, nil)
	result, out, err := run(t, r, req)
	require.NoError(t, err)
	require.Equal(t, 3, result.ExitCode)
	require.Equal(t, "out\n", text(out))
	_, err = r.Attach(t.Context(), &pluginapi.AttachRequest{RunID: req.RunID, Type: req.Type, State: out.State()}, out)
	require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err))
	require.NoError(t, r.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: req.RunID}))
	c.nothingLeft(t)

	documented := map[string]bool{}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				documented[verb+" "+resource] = true
			}
		}
	}
	require.Equal(t, documented, server.rights)
	document, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(t, err)
	require.Contains(t, string(document), roleFor("stroem-steps"), "it is the one that errors tell")
}

func TestNamespaceThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRunner(pluginapi.NewLogger())
	err := r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, "no-such-namespace", nil)})
	require.ErrorContains(t, err, "the namespace no-such-namespace does not exist on https://")
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
}
