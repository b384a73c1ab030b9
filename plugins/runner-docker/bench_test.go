package main

import (
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// BenchmarkRun compares the shortest step with what `docker run --rm` does for the same: create, start, wait, remove.
func BenchmarkRun(b *testing.B) {
	api := engine(b)
	files, err := busybox(b.Context())
	require.NoError(b, err)
	ref := "stroem-bench/busybox:1"
	require.NoError(b, importImage(b.Context(), api, ref, files, nil))
	defer func() {
		_, err := api.ImageRemove(b.Context(), ref, image.RemoveOptions{})
		require.NoError(b, err)
	}()
	path, err := buildBinary()
	require.NoError(b, err)
	r := hostapi.NewRunner(plugintest.Binary(path)(b), "runner(docker)")
	require.NoError(b, r.Configure(b.Context(), &pluginapi.Config{Settings: settings(b, nil)}))
	workspace, scratch := b.TempDir(), b.TempDir()
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			created, err := api.ContainerCreate(b.Context(), &container.Config{Image: ref, Cmd: []string{"true"}},
				&container.HostConfig{Init: new(true)}, nil, nil, "")
			require.NoError(b, err)
			ended, failed := api.ContainerWait(b.Context(), created.ID, container.WaitConditionNextExit)
			require.NoError(b, api.ContainerStart(b.Context(), created.ID, container.StartOptions{}))
			select {
			case <-ended:
			case err := <-failed:
				require.NoError(b, err)
			}
			require.NoError(b, api.ContainerRemove(b.Context(), created.ID, container.RemoveOptions{}))
		}
	})
	for name, req := range map[string]*pluginapi.RunRequest{
		"docker": {Type: typeDocker, Spec: []byte(`{"image": "` + ref + `", "command": ["true"]}`)},
		"shell": {
			Type: typeShell, Runner: "docker", Spec: []byte(`{"image": "` + ref + `", "cmd": "true"}`),
			Workspace: pluginapi.Workspace{Dir: workspace},
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				req.RunID, req.ScratchDir = newRunID(), scratch
				_, err := r.Run(b.Context(), req, plugintest.NewRecorder())
				require.NoError(b, err)
			}
		})
	}
}
