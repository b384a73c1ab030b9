package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/stroem/stroem/pluginapi"
)

// logConfig has the engine keep the output as it came, byte by byte: other log drivers keep lines of text. It has a limit, so
// that a step that never stops writing does not fill the engine's disk; what runs behind by that much is lost.
var logConfig = container.LogConfig{
	Type: "local", Config: map[string]string{"max-size": "1g", "max-file": "2", "compress": "false"},
}

// container returns the description of the step's container, without its workspace.
func (l *launch) container() (*container.Config, *container.HostConfig, error) {
	env, err := environment(l.req)
	if err != nil {
		return nil, nil, err
	}
	limits, err := l.spec.Resources.limits()
	if err != nil {
		return nil, nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%w", err)
	}
	entrypoint, args := l.spec.command(l.req.Type)
	config := &container.Config{
		Image: l.image.String(), Entrypoint: entrypoint, Cmd: args, Env: env, User: l.cfg.User,
		Labels: labels(l.req.RunID, partStep, l.req.Labels),
		// A check of the image's health would run beside the step, and nobody asks for its outcome.
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
	if l.spec.launched(l.req.Type) {
		config.StopSignal = "SIGTERM" // the image's own is for what the image runs
	}
	if l.req.Type == typeDocker {
		config.WorkingDir = l.spec.Workdir
	} else {
		config.WorkingDir = workspaceDir
	}
	host := &container.HostConfig{
		LogConfig: logConfig, Resources: limits, Init: &l.cfg.Init, Privileged: l.cfg.Privileged, Mounts: l.cfg.mounts(),
	}
	if len(l.cfg.Networks) > 0 {
		host.NetworkMode = container.NetworkMode(l.cfg.Networks[0])
	}
	return config, host, nil
}

// mounts are those that the operator adds to every container.
func (c *config) mounts() []mount.Mount {
	list := make([]mount.Mount, len(c.Mounts))
	for i, m := range c.Mounts {
		list[i] = mount.Mount{Type: mount.TypeVolume, Source: m.Source, Target: m.Target, ReadOnly: m.readOnly()}
		if strings.HasPrefix(m.Source, "/") {
			list[i].Type = mount.TypeBind
		}
	}
	return list
}

// environment returns the variables of the step. Those that name paths of the worker get the places in the container.
func environment(req *pluginapi.RunRequest) ([]string, error) {
	vars := maps.Clone(req.Env)
	if vars == nil {
		vars = map[string]string{}
	}
	delete(vars, "STROEM_INPUT")
	vars["STROEM_SCRATCH"], vars["TMPDIR"] = scratchPath, scratchPath
	if _, err := os.Stat(inputFile(req)); err == nil {
		vars["STROEM_INPUT"] = ownDir + "/input.json"
	}
	env := make([]string, 0, len(vars))
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		if key == "" || strings.ContainsAny(key, "=\x00") {
			return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "env: %q is not the name of a variable", key)
		}
		if strings.ContainsRune(vars[key], 0) {
			return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "env: the value of %s has a NUL in it, which no program can be given", key)
		}
		env = append(env, key+"="+vars[key])
	}
	return env, nil
}

// inputFile is where the worker leaves the whole input of a step.
func inputFile(req *pluginapi.RunRequest) string { return filepath.Join(req.ScratchDir, "input.json") }
