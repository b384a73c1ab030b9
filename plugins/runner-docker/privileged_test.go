package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// TestPrivileged: a step has rights beyond the usual ones if the operator says so, and only then; TestRefused has those that ask
// for them.
func TestPrivileged(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]doc{"allowed": {"privileged": true}, "not allowed": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeDocker, doc{"cmd": "cat /proc/self/status"}, config)
			seen := f.created(t, config)
			require.Equal(t, name == "allowed", seen.HostConfig.Privileged)
			require.Empty(t, seen.HostConfig.CapAdd)
			require.Empty(t, seen.HostConfig.Devices)
			require.Empty(t, seen.HostConfig.PidMode)
			require.NotContains(t, seen.HostConfig.NetworkMode, "host")

			_, err := f.runner.Run(t.Context(), f.req, f.out)
			stdout, _, _ := f.out.Text()
			if name == "not allowed" {
				require.NoError(t, err)
				require.Zero(t, capabilities(t, stdout)&(1<<capSysAdmin))
				return
			}
			status, readErr := os.ReadFile("/proc/self/status")
			require.NoError(t, readErr)
			machine := capabilities(t, string(status))
			if err != nil { // engines ask for all there are, which this machine may not give away
				require.NotEqual(t, allCapabilities(t), machine, "%v", err)
				require.ErrorContains(t, err, "start the container: ")
				return
			}
			require.Equal(t, machine, capabilities(t, stdout))
		})
	}
}

// created is what the engine says of the container of the run before it starts.
func (f *fixture) created(t *testing.T, config doc) container.InspectResponse {
	t.Helper()
	r := newTestRunner()
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, config)}))
	defer func() { require.NoError(t, r.Close()) }()
	l, err := r.newLaunch(f.req, plugintest.NewRecorder())
	require.NoError(t, err)
	require.NoError(t, l.prepare(t.Context()))
	defer r.tidy(t.Context(), f.req.RunID)
	seen, err := f.api.ContainerInspect(t.Context(), l.id)
	require.NoError(t, err)
	return seen
}

const capSysAdmin = 21

var boundingSet = regexp.MustCompile(`CapBnd:\s+([0-9a-f]+)`)

// capabilities are those that a process can get, of which its status tells.
func capabilities(t *testing.T, status string) uint64 {
	t.Helper()
	found := boundingSet.FindStringSubmatch(status)
	require.NotNil(t, found, status)
	set, err := strconv.ParseUint(found[1], 16, 64)
	require.NoError(t, err)
	return set
}

func allCapabilities(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	require.NoError(t, err)
	last, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return 1<<(last+1) - 1
}
