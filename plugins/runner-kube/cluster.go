package main

import (
	"errors"
	"os"
	"strings"
	"time"

	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// cluster is the API server, and the namespace in which pods are made.
type cluster struct {
	core      *corev1client.CoreV1Client
	auth      *authorizationv1.AuthorizationV1Client
	address   string
	namespace string
}

// callLimit is how long a call may take that does not stream.
const callLimit = 30 * time.Second

// podFiles is where Kubernetes puts what a pod needs to reach the API server.
const podFiles = "/var/run/secrets/kubernetes.io/serviceaccount/"

var errNoCluster = errors.New("neither a kubeconfig nor a service account of a pod is there: " +
	"set kubeconfig in the configuration of runner-kube, or run the worker as a pod")

// connect finds the cluster. It does not call it.
func connect(cfg *config) (*cluster, error) {
	settings, namespace, err := clientConfig(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Namespace != "" {
		namespace = cfg.Namespace
	}
	if namespace == "" {
		return nil, errors.New("no namespace: set namespace in the configuration of runner-kube")
	}
	settings.QPS = -1 // the API server says what is too much
	settings.UserAgent = "stroem-runner-kube"
	settings.WarningHandler = rest.NoWarnings{} // they may quote what is in a pod
	settings.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	settings.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := rest.HTTPClientFor(settings)
	if err != nil {
		return nil, err
	}
	c := &cluster{address: settings.Host, namespace: namespace}
	if c.core, err = corev1client.NewForConfigAndClient(settings, client); err != nil {
		return nil, err
	}
	if c.auth, err = authorizationv1.NewForConfigAndClient(settings, client); err != nil {
		return nil, err
	}
	return c, nil
}

// clientConfig returns how to reach the API server, and the namespace that goes with that.
func clientConfig(cfg *config) (settings *rest.Config, namespace string, err error) {
	if cfg.Kubeconfig == "" && cfg.Context == "" {
		if settings, namespace, err = inCluster(); settings != nil || err != nil {
			return settings, namespace, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = cfg.Kubeconfig
	rules.WarnIfAllMissing = false
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: cfg.Context})
	settings, err = loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, "", errNoCluster
	}
	if err != nil {
		return nil, "", err
	}
	// A context without a namespace means "default" to kubectl; here nobody is to get pods there by accident.
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", err
	}
	name := raw.CurrentContext
	if cfg.Context != "" {
		name = cfg.Context
	}
	if context := raw.Contexts[name]; context != nil {
		namespace = context.Namespace
	}
	return settings, namespace, nil
}

// inCluster returns the configuration of a process in a pod, or nil if this is none, or has no service account.
func inCluster() (settings *rest.Config, namespace string, err error) {
	if _, err := os.Stat(podFiles + "token"); err != nil {
		return nil, "", nil //nolint:nilerr // no pod
	}
	settings, err = rest.InClusterConfig()
	if err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(podFiles + "namespace")
	if err != nil {
		return nil, "", err
	}
	return settings, strings.TrimSpace(string(text)), nil
}
