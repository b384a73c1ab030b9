package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/docker/docker/client"

	"github.com/stroem/stroem/pluginapi"
)

// runner runs steps in containers of one Docker engine. Everything that it has to know of a run is kept by the engine, so
// that another instance can go on with it.
type runner struct {
	log *slog.Logger

	// Set by Configure.
	cfg *config
	api *client.Client
}

func newRunner(log *slog.Logger) *runner { return &runner{log: log} }

// exampleImage is what the examples run in.
const exampleImage = "busybox:latest"

func (r *runner) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:         "docker",
		Version:      version,
		ConfigSchema: configSchema,
		ActionTypes: []pluginapi.ActionType{
			{
				Name: typeShell, Runner: "docker", Tag: "docker", SpecSchema: shellSchema,
				Workspace: pluginapi.WorkspaceHostDir, Attachable: true, Examples: examples(exampleImage),
			},
			{
				Name: typeDocker, Tag: "docker", SpecSchema: dockerSchema, Attachable: true, Examples: examples(exampleImage),
			},
		},
	}, nil
}

// examples are those of both types, in an image that has a shell.
func examples(image string) pluginapi.Examples {
	cmd := func(text string) json.RawMessage {
		spec, _ := json.Marshal(map[string]string{"image": image, "cmd": text}) // strings can be encoded
		return spec
	}
	return pluginapi.Examples{
		Succeed:      cmd("echo hello"),
		Fail:         cmd("echo oops >&2; exit 7"),
		Long:         cmd("sleep 120"),
		Large:        cmd("seq 1 1500000"),
		Stubborn:     cmd("trap '' TERM INT HUP; echo ready; sleep 120"),
		Killed:       cmd("kill -KILL $$"),
		Unterminated: cmd("printf 'no newline'"),
		// Lines of some length: the engine keeps each with its time, which takes longer than writing them.
		Endless: cmd(`yes "$(seq -s ' ' 1 500)"`),
	}
}

func (r *runner) Configure(_ context.Context, cfg *pluginapi.Config) error {
	c, err := parseConfig(cfg.Settings)
	if err != nil {
		return err
	}
	api, err := c.newClient()
	if err != nil {
		return err
	}
	r.cfg, r.api = c, api
	return nil
}

func (r *runner) CheckHealth(ctx context.Context) (*pluginapi.Health, error) {
	return r.health(ctx), nil
}

// Validate warns of what has no effect, and refuses what no container can be made of.
func (r *runner) Validate(_ context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	var s spec
	if err := json.Unmarshal(req.Spec, &s); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: %w", err)
	}
	problems := s.check(req.Type)
	if req.Type == typeShell && s.Image != "" && r.cfg != nil && r.cfg.RunnerImage != "" {
		problems = append(problems, pluginapi.Diagnostic{
			Severity: pluginapi.SeverityWarning, Path: "/image",
			Message: "image has no effect: the worker runs all shell actions in " + r.cfg.RunnerImage,
		})
	}
	return problems, nil
}

// Close lets go of the engine. It is called when no run is under way any more.
func (r *runner) Close() error {
	if r.api == nil {
		return nil
	}
	return r.api.Close()
}
