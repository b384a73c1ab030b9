package coretest

import (
	"os"
	"testing"
)

// Engines that tests run steps on; `make test` starts them.
const (
	dockerHost      = "STROEM_TEST_DOCKER_HOST"       // unix:///path of a Docker engine
	kubeconfig      = "STROEM_TEST_KUBECONFIG"        // file for a Kubernetes cluster
	kubeHostAddress = "STROEM_TEST_KUBE_HOST_ADDRESS" // where its pods reach what listens on this machine
)

// Docker returns the address of a Docker engine. Without one the test is skipped, or fails if STROEM_TEST_REQUIRE names docker.
func Docker(t testing.TB) (host string) {
	t.Helper()
	return engine(t, "docker", dockerHost)
}

// Kubernetes returns a cluster's kubeconfig, and the address at which pods reach this machine. Without a cluster the test is
// skipped, or fails if STROEM_TEST_REQUIRE names kube.
func Kubernetes(t testing.TB) (config, hostAddress string) {
	t.Helper()
	return engine(t, "kube", kubeconfig), os.Getenv(kubeHostAddress)
}

func engine(t testing.TB, service, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	switch {
	case value != "":
	case Required(service):
		t.Fatalf("%s is not set: run the test by make test/%s", variable, service)
	default:
		t.Skipf("%s is not set: run the test by make test/%s", variable, service)
	}
	return value
}
