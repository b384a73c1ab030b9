package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/stroem/stroem/pluginapi"
)

const (
	// callLimit is how long a call to the engine may take that does not depend on what a step does.
	callLimit = 2 * time.Minute
	// cleanLimit is how long removing the remains of a run may take.
	cleanLimit = 30 * time.Second
	// pingLimit leaves time for the answer to CheckHealth.
	pingLimit = 2 * time.Second
)

// newClient returns a client of the configured engine. It does not connect yet.
func (c *config) newClient() (*client.Client, error) {
	opts := []client.Opt{client.WithAPIVersionNegotiation(), client.WithUserAgent("stroem-runner-docker")}
	host, files := c.Host, c.TLS
	if host == "" {
		host = os.Getenv(client.EnvOverrideHost)
		// The client's own option for this does not verify the engine's certificate unless another variable is set.
		if dir := os.Getenv(client.EnvOverrideCertPath); dir != "" && files == (tlsFiles{}) {
			files = tlsFiles{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
		}
	}
	switch {
	case strings.HasPrefix(host, "ssh://"):
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "host %s: ssh is not supported; forward the engine's socket and name that", host)
	case host != "":
		opts = append(opts, client.WithHost(host))
	}
	if files != (tlsFiles{}) {
		opts = append(opts, client.WithTLSClientConfig(files.CA, files.Cert, files.Key))
	}
	api, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "set up the client for the Docker engine (host, tls): %w", err)
	}
	return api, nil
}

// isLocal tells whether the engine is reached through a socket of this machine, and so may see its files.
func isLocal(api *client.Client) bool {
	host := api.DaemonHost()
	return strings.HasPrefix(host, "unix://") || strings.HasPrefix(host, "npipe://")
}

// limited returns the context for a call whose outcome has to be known even if nobody waits for the run any more, such as one
// that makes something which is to be removed again.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), callLimit)
}

// health asks the engine whether it is there.
func (r *runner) health(ctx context.Context) *pluginapi.Health {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	ping, err := r.api.Ping(ctx)
	switch {
	case err != nil:
		return &pluginapi.Health{State: pluginapi.Unavailable, Message: r.unreachable(err)}
	case ping.OSType != "" && ping.OSType != "linux":
		return &pluginapi.Health{
			State: pluginapi.Unhealthy, Message: "the Docker engine at " + r.api.DaemonHost() + " runs containers of " + ping.OSType + "; linux is needed",
		}
	}
	return &pluginapi.Health{State: pluginapi.Healthy}
}
