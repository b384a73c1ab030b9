// Runner-kube runs steps as pods of a Kubernetes cluster.
package main

import (
	"k8s.io/klog/v2"

	"github.com/stroem/stroem/pluginapi"
)

// version is set by the linker in a release.
var version string

func main() {
	log := pluginapi.NewLogger()
	klog.SetSlogLogger(log) // what the library has to say, which would be no JSON
	pluginapi.Serve(newRunner(log))
}
