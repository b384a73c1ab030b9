//go:build linux

package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"text/template"
)

// pauseImage is for the container that holds a pod's namespaces. The name is made up, so that nobody asks a registry.
const pauseImage = "k8stest.local/pause:1"

//go:embed conf
var configurations embed.FS

// prepareFiles writes configurations, certificates and what leads to the cluster.
func (c *cluster) prepareFiles(context.Context) error {
	for _, dir := range []string{"cni", "volume-plugins", "kubelet", "pod-logs"} {
		if err := os.Mkdir(c.path(dir), 0o700); err != nil {
			return err
		}
	}
	if err := c.writeCertificates(); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	values := map[string]string{
		"Dir": c.dir, "Plugins": c.plugins, "Pause": pauseImage, "Cgroup": "/" + c.cgroup(), "Network": c.address(0) + "/24",
		"Node": c.address(nodeNumber), "FirstPod": c.address(nodeNumber + 1), "LastPod": c.address(hostNumber - 1),
	}
	for name, target := range map[string]string{
		"containerd.toml": c.path("containerd.toml"),
		"kubelet.yaml":    c.path("kubelet.yaml"),
		"bridge.conflist": c.path("cni", "10-bridge.conflist"),
		"kubeconfig":      kubeconfig(c.dir),
	} {
		text, err := template.ParseFS(configurations, "conf/"+name)
		if err != nil {
			return err
		}
		file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := text.Execute(file, values); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	var err error
	c.api, err = c.newAPI()
	return err
}
