package main

import (
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// TestFilesComeLast: a container that has them is taken for complete, so that it has all its networks by then.
func TestFilesComeLast(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"cmd": "true"}, nil)
	r := newTestRunner()
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, doc{"networks": []string{"bridge", "host"}})}))
	defer func() { require.NoError(t, r.Close()) }()
	l, err := r.newLaunch(f.req, plugintest.NewRecorder())
	require.NoError(t, err)
	require.ErrorContains(t, l.prepare(t.Context()), "connect the container to the network host")
	_, err = f.runner.Attach(t.Context(), f.attachRequest(zero, nil), f.out)
	require.ErrorContains(t, err, "was created, but never started")
	require.NoError(t, f.runner.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: f.req.RunID}))
}

// TestAttachBeforeTheStart: a plugin may die when the container is made and not started.
func TestAttachBeforeTheStart(t *testing.T) {
	t.Parallel()
	for name, complete := range map[string]bool{"complete": true, "without its files": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeShell, doc{"cmd": "echo here; exit 7"}, nil)
			r := newTestRunner()
			require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, nil)}))
			defer func() { require.NoError(t, r.Close()) }()
			l, err := r.newLaunch(f.req, plugintest.NewRecorder())
			require.NoError(t, err)
			if complete {
				require.NoError(t, l.prepare(t.Context()))
			} else {
				require.NoError(t, l.create(t.Context()))
			}
			result, err := f.runner.Attach(t.Context(), f.attachRequest(zero, nil), f.out)
			if !complete {
				require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err))
				require.ErrorContains(t, err, "was created, but never started")
				require.NoError(t, f.runner.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: f.req.RunID}))
				return
			}
			require.NoError(t, err)
			require.Equal(t, exit(7), *result)
		})
	}
}

// TestLeftoverOfTheSameRun: whoever asks for a run again has given up the first.
func TestLeftoverOfTheSameRun(t *testing.T) {
	t.Parallel()
	f := setup(t, typeShell, doc{"cmd": "echo once"}, doc{"workspace": "volume"})
	r := newTestRunner()
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, doc{"workspace": "volume"})}))
	defer func() { require.NoError(t, r.Close()) }()
	l, err := r.newLaunch(f.req, plugintest.NewRecorder())
	require.NoError(t, err)
	require.NoError(t, l.prepare(t.Context()))
	_, err = f.api.ContainerCreate(t.Context(), &container.Config{ // one died over copying the workspace
		Image: testImage(t), Cmd: []string{"-"}, Labels: labels(f.req.RunID, partWorkspace, nil),
	}, nil, nil, nil, l.name+"-workspace")
	require.NoError(t, err)
	f.want(t, outcome{stdout: "once\n"})
}
