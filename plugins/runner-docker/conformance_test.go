package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func newTestRunner() *runner { return newRunner(pluginapi.NewLogger()) }

func TestConformance(t *testing.T) {
	t.Parallel()
	api, image := engine(t), testImage(t)
	t.Cleanup(func() { nothingLeftInImage(t, api, image) })
	opts := plugintest.RunnerOptions{
		Config:    settings(t, map[string]any{"pull_policy": "never"}),
		BadConfig: json.RawMessage(`{"pull_policy": "sometimes"}`),
		Examples:  map[string]pluginapi.Examples{"shell/docker": examples(image), "docker": examples(image)},
		Parallel:  10,
	}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		plugintest.TestRunner(t, plugintest.InProcess(newTestRunner), opts)
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		plugintest.TestRunner(t, plugintest.Binary(pluginBinary(t)), opts)
	})
}

// nothingLeftInImage checks that no run of a test is left, by the image that it ran in: the suite makes ids of its own.
func nothingLeftInImage(t *testing.T, api *client.Client, image string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	left, err := api.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("ancestor", image), filters.Arg("label", labelRun), filters.Arg("label", labelStep+"=step")),
	})
	require.NoError(t, err)
	for _, c := range left {
		t.Errorf("the container %s is left, %s", c.Names, c.Status)
	}
	volumes, err := api.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelRun))})
	require.NoError(t, err)
	for _, v := range volumes.Volumes {
		if v.Labels[labelWorkspace] == "conformance" {
			t.Errorf("the volume %s is left", v.Name)
		}
	}
}
