//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stroem/stroem/tests/enclosure"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/localimage"
)

// settings tell the inside what was decided outside.
type settings struct {
	Programs string // directory
	Number   int    // of the network, of which a machine can have several
}

// The network of a cluster: the node is the gateway of its pods, and this machine is in it as well.
const (
	machineLink = "machine"
	nodeNumber  = 1
	hostNumber  = 254
	nodeName    = "127.0.0.1" // and its address, too: what the server asks of the node stays inside
)

// Services have addresses of their own. That of the API server is the first one, at which nothing but it is.
const (
	services      = "10.96.0.0/24"
	serverService = "10.96.0.1"
)

func (s settings) address(host int) string { return fmt.Sprintf("10.231.%d.%d", s.Number, host) }

func kubeconfig(dir string) string { return filepath.Join(dir, "kubeconfig") }

// cluster is what runs inside.
type cluster struct {
	settings
	dir     string
	plugins string // directory of CNI plugins
	daemons *enclosure.Daemons
	api     *api
}

func serve(dir string, given settings, ready func() error) error {
	daemons, err := enclosure.NewDaemons(dir)
	if err != nil {
		return err
	}
	c := &cluster{settings: given, dir: dir, daemons: daemons}
	ctx := context.Background() // ends with the process
	for _, step := range []func(context.Context) error{
		c.prepareMachine, c.prepareFiles, c.startControl, c.startContainers, c.startNode,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := ready(); err != nil {
		return err
	}
	return daemons.Wait()
}

// prepareMachine makes the network, the cgroup, and the settings of the kernel on which a kubelet insists.
func (c *cluster) prepareMachine(ctx context.Context) error {
	if err := ip(ctx,
		[]string{"link", "set", "lo", "up"},
		[]string{"address", "add", serverService + "/32", "dev", "lo"},
		// An address of its own, or it would change with the pods, and who talks to the bridge would send to the old one for a while.
		[]string{"link", "add", "pods", "address", "02:00:00:00:00:01", "type", "bridge"},
		[]string{"address", "add", c.address(nodeNumber) + "/24", "dev", "pods"},
		[]string{"link", "set", "pods", "up"},
		[]string{"link", "set", machineLink, "master", "pods", "up"},
	); err != nil {
		return err
	}
	if err := errors.Join(
		enclosure.Pretend(c.dir, "vm/overcommit_memory", "1"),
		enclosure.Pretend(c.dir, "kernel/panic", "10"),
		enclosure.Pretend(c.dir, "kernel/panic_on_oops", "1"),
		enclosure.MakeCgroup(c.cgroup()),
	); err != nil {
		return err
	}
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			c.plugins = dir
		}
	}
	// containerd looks there for its shim.
	return os.Setenv("PATH", c.Programs+":"+os.Getenv("PATH"))
}

func (c *cluster) cgroup() string { return filepath.Base(c.dir) }

func (c *cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

func (c *cluster) start(name, program string, args ...string) error {
	return c.daemons.Start(name, filepath.Join(c.Programs, program), args...)
}

// startControl starts the server and its store. The store listens inside alone.
func (c *cluster) startControl(context.Context) error {
	const store, peers = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	return errors.Join(
		c.start("etcd", "etcd", "--name=etcd", "--data-dir="+c.path("etcd"), "--unsafe-no-fsync",
			"--listen-client-urls="+store, "--advertise-client-urls="+store, "--listen-peer-urls="+peers,
			"--initial-advertise-peer-urls="+peers, "--initial-cluster=etcd="+peers),
		c.start("kube-apiserver", "kube", "kube-apiserver", "--etcd-servers="+store,
			// At the address of its service as well, to which nothing else would lead: pods are told of that one, and of its port.
			"--bind-address=0.0.0.0", "--advertise-address="+c.address(nodeNumber), "--secure-port=443", "--endpoint-reconciler-type=none",
			"--tls-cert-file="+c.path("server.crt"), "--tls-private-key-file="+c.path("server.key"),
			"--client-ca-file="+c.path("ca.crt"),
			"--kubelet-client-certificate="+c.path("admin.crt"), "--kubelet-client-key="+c.path("admin.key"),
			"--kubelet-certificate-authority="+c.path("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file="+c.path("accounts.key"), "--service-account-signing-key-file="+c.path("accounts.key"),
			"--service-cluster-ip-range="+services, "--authorization-mode=RBAC", "--allow-privileged=false"),
	)
}

// startContainers starts the container runtime and gives it the images.
func (c *cluster) startContainers(ctx context.Context) error {
	if err := c.start("containerd", "containerd", "--config="+c.path("containerd.toml"), "--log-level=warn"); err != nil {
		return err
	}
	client := func(ctx context.Context, args ...string) error {
		args = append([]string{"--address=" + c.path("containerd.sock"), "--namespace=k8s.io"}, args...)
		out, err := exec.CommandContext(ctx, filepath.Join(c.Programs, "ctr"), args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ctr: %w: %s", err, out)
		}
		return nil
	}
	if err := c.daemons.Await(ctx, "containerd", func(ctx context.Context) error { return client(ctx, "version") }); err != nil {
		return err
	}
	for _, image := range []localimage.Image{
		{Name: pauseImage, Command: []string{"sleep", "2147483647"}},
		{Name: engines.KubeBusybox, Command: []string{"sh"}},
		{
			Name: engines.KubeTools, Command: []string{"sh"},
			Programs: []string{"curl"}, Paths: []string{"/etc/ssl/certs/ca-certificates.crt"},
		},
	} {
		archive, err := os.Create(c.path("image.tar"))
		if err != nil {
			return err
		}
		if err := errors.Join(image.Write(ctx, archive), archive.Close()); err != nil {
			return err
		}
		if err := client(ctx, "images", "import", archive.Name()); err != nil {
			return err
		}
	}
	return os.Remove(c.path("image.tar"))
}

// startNode starts what runs pods, once the server answers, and waits until it does.
func (c *cluster) startNode(ctx context.Context) error {
	if err := c.daemons.Await(ctx, "the API server", c.api.answers); err != nil {
		return err
	}
	config := "--kubeconfig=" + kubeconfig(c.dir)
	if err := errors.Join(
		c.start("kube-controller-manager", "kube", "kube-controller-manager", config,
			"--bind-address=127.0.0.1", "--leader-elect=false",
			"--service-account-private-key-file="+c.path("accounts.key"), "--root-ca-file="+c.path("ca.crt"),
			"--controllers=serviceaccount-controller,root-ca-certificate-publisher-controller,namespace-controller,"+
				"node-lifecycle-controller,garbage-collector-controller,pod-garbage-collector-controller,taint-eviction-controller"),
		c.start("kube-scheduler", "kube", "kube-scheduler", config, "--bind-address=127.0.0.1", "--leader-elect=false"),
		c.start("kubelet", "kube", "kubelet", config,
			"--config="+c.path("kubelet.yaml"), "--root-dir="+c.path("kubelet"), "--hostname-override="+nodeName),
	); err != nil {
		return err
	}
	if err := c.daemons.Await(ctx, "a node that takes pods", c.api.nodeTakesPods); err != nil {
		return err
	}
	return c.daemons.Await(ctx, "the default service account", c.api.accountReady)
}
