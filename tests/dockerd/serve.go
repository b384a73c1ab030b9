//go:build linux

package dockerd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/tests/enclosure"
)

type settings struct {
	Options
	Bridge string
}

func socket(dir string) string { return filepath.Join(dir, "docker.sock") }

func pidFile(dir string) string { return filepath.Join(dir, "pid") }

// serve runs the engine. It leaves the machine's firewall and routing alone, with which another engine may be at work: its
// containers reach this machine and each other, and nothing beyond.
func serve(dir string, given settings, ready func() error) error {
	daemons, err := enclosure.NewDaemons(dir)
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "daemon.json") // in place of the machine's
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
		return err
	}
	command := []string{
		"dockerd",
		"--config-file=" + config,
		"--data-root=" + filepath.Join(dir, "data"), "--exec-root=" + filepath.Join(dir, "exec"),
		"--pidfile=" + pidFile(dir), "--host=unix://" + socket(dir),
		"--cgroup-parent=/" + filepath.Base(dir), "--exec-opt=native.cgroupdriver=cgroupfs",
		"--bridge=" + given.Bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false",
		fmt.Sprintf("--live-restore=%t", given.LiveRestore),
	}
	if given.Supervised {
		command = append([]string{"sh", "-c", `while :; do "$@"; done`, "supervisor"}, command...)
	}
	if err := daemons.Start("dockerd", command[0], command[1:]...); err != nil {
		return err
	}
	answers := func(ctx context.Context) error { return ping(ctx, socket(dir)) }
	if err := daemons.Await(context.Background(), "the Docker engine", answers); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	return daemons.Wait()
}

func ping(ctx context.Context, socket string) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}
