// Package engines names the Docker engine and the Kubernetes cluster that tests run on. scripts/with-docker and
// scripts/with-kube start them.
package engines

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// What tells tests, and whoever runs them, where the engines are.
const (
	// DockerHost is the variable with the address of a Docker engine, unix:///path.
	DockerHost = "STROEM_TEST_DOCKER_HOST"
	// Kubeconfig is the variable with the path of a file that leads to a cluster, as its administrator.
	Kubeconfig = "STROEM_TEST_KUBECONFIG"
	// KubeHostAddress is the variable with the address at which pods reach servers of this machine.
	KubeHostAddress = "STROEM_TEST_KUBE_HOST_ADDRESS"
	// KubeBusybox is an image that the cluster has: a busybox.
	KubeBusybox = "k8stest.local/busybox:1"
	// KubeTools is an image that the cluster has: busybox, and curl with certificates.
	KubeTools = "k8stest.local/tools:1"
)

// Docker returns the address of the Docker engine. Without one the test is skipped, or fails if STROEM_TEST_REQUIRE names
// docker.
func Docker(t testing.TB) string {
	t.Helper()
	return find(t, "docker", DockerHost)
}

// Kube returns the path of the file that leads to the cluster, and the address at which pods reach this machine. Without
// a cluster the test is skipped, or fails if STROEM_TEST_REQUIRE names kube.
func Kube(t testing.TB) (kubeconfig, hostAddress string) {
	t.Helper()
	return find(t, "kube", Kubeconfig), os.Getenv(KubeHostAddress)
}

// Required tells whether STROEM_TEST_REQUIRE names a service: then nothing goes on without it.
func Required(service string) bool {
	return slices.Contains(strings.Split(os.Getenv("STROEM_TEST_REQUIRE"), ","), service)
}

func find(t testing.TB, service, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	switch {
	case value != "":
	case Required(service):
		t.Fatalf("%s is not set: scripts/with-%s runs a command with it", variable, service)
	default:
		t.Skipf("%s is not set: scripts/with-%s runs a command with it", variable, service)
	}
	return value
}
