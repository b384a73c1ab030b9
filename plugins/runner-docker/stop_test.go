package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// stopAtOutput stops the run once it has written something.
func (f *fixture) stopAtOutput(t *testing.T) (*pluginapi.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-f.out.HasOutput()
		cancel(pluginapi.ErrStopped)
	}()
	return f.runner.Run(ctx, f.req, f.out)
}

// imageWithSignal returns an image that asks for a signal of its own, as that of a web server may.
func imageWithSignal(t *testing.T, signal string) string {
	t.Helper()
	api, base := engine(t), testImage(t)
	created, err := api.ContainerCreate(t.Context(), &container.Config{Image: base, Cmd: []string{"-"}}, nil, nil, nil, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, api.ContainerRemove(t.Context(), created.ID, container.RemoveOptions{})) }()
	ref := base + "-" + strings.ToLower(signal)
	_, err = api.ContainerCommit(t.Context(), created.ID, container.CommitOptions{Reference: ref, Config: &container.Config{StopSignal: signal}})
	require.NoError(t, err)
	imagesMu.Lock()
	defer imagesMu.Unlock()
	images[ref] = nil // to be removed
	return ref
}

// TestStopLeavesTimeToAll: the shell of the step ends at once when told to, what it has started takes some time for it.
func TestStopLeavesTimeToAll(t *testing.T) {
	t.Parallel()
	const tidy = `sh -c 'trap "sleep 0.3; echo tidied up; exit" TERM; echo ready; while :; do sleep 0.05; done'; :`
	for name, f := range map[string]*fixture{
		"cmd":    setup(t, typeShell, doc{"cmd": tidy}, nil),
		"script": setup(t, typeShell, doc{"script": "run"}, nil).files(t, map[string]string{"run": "#!/bin/sh\n" + tidy}),
		"docker": setup(t, typeDocker, doc{"cmd": tidy}, nil),
		"bare":   setup(t, typeShell, doc{"cmd": tidy}, doc{"init": false}),
		// An image's own signal is meant for what the image runs.
		"signal": setup(t, typeShell, doc{"cmd": tidy, "image": imageWithSignal(t, "SIGWINCH")}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := f.stopAtOutput(t)
			require.NoError(t, err)
			require.Equal(t, pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, *result)
			stdout, _, _ := f.out.Text()
			require.Equal(t, "ready\ntidied up\n", stdout)
		})
	}
}

func TestStopByForce(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"command": []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"}}, nil)
	f.req.StopGrace = 300 * time.Millisecond
	result, err := f.stopAtOutput(t)
	require.NoError(t, err)
	require.Equal(t, pluginapi.Result{ExitCode: -1, Signal: "SIGKILL"}, *result)
}

// TestStopIsNoSuccess: a step that tidies up and says that all is well was stopped all the same.
func TestStopIsNoSuccess(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"command": []string{"sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"}}, nil)
	result, err := f.stopAtOutput(t)
	require.Nil(t, result)
	require.Equal(t, pluginapi.CodeCanceled, pluginapi.CodeOf(err), "%v", err)
}

func TestContainerThatSomebodyRemoves(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"cmd": "echo ready; sleep 120"}, nil)
	go func() {
		<-f.out.HasOutput()
		_ = f.api.ContainerRemove(context.WithoutCancel(t.Context()), name(f.req.RunID, f.req.Labels), container.RemoveOptions{Force: true})
	}()
	result, err := f.runner.Run(t.Context(), f.req, f.out)
	if err == nil { // the engine may have told how it ended before it forgot it
		require.Equal(t, pluginapi.Result{ExitCode: -1, Signal: "SIGKILL"}, *result)
		return
	}
	require.ErrorContains(t, err, "somebody removed it")
}

// TestNoSecrets: what the engine is told beside the environment and the files has no value of them in it.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	f := setup(t, typeShell, doc{"cmd": "echo ready; sleep 120 # s3cret-in-cmd"}, nil)
	f.req.Env["TOKEN"] = "s3cret-in-env"
	ctx, cancel := context.WithCancelCause(t.Context())
	inspected := make(chan error, 1)
	go func() {
		<-f.out.HasOutput()
		seen, err := f.api.ContainerInspect(ctx, name(f.req.RunID, f.req.Labels))
		if err == nil {
			text := fmt.Sprint(seen.Name, seen.Path, seen.Args, seen.Config.Labels, seen.Config.Cmd, seen.Config.Entrypoint)
			if strings.Contains(text, "s3cret") || !strings.Contains(text, "stroem-0b62-66a-a-step-") || seen.HostConfig.Privileged {
				err = errors.New(text)
			}
		}
		inspected <- err
		cancel(pluginapi.ErrStopped)
	}()
	_, err := f.runner.Run(ctx, f.req, f.out)
	require.NoError(t, err)
	require.NoError(t, <-inspected)
	require.NotContains(t, string(f.out.State()), "s3cret")
}
