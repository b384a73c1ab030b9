package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"

	"github.com/stroem/stroem/pluginapi"
)

// runner runs steps as processes of this machine, each in a process group of its own.
type runner struct {
	log *slog.Logger

	// Set by Configure.
	shell string // path of sh
	env   []string
	dog   *watchdog
}

func newRunner(log *slog.Logger) *runner {
	return &runner{log: log}
}

func (r *runner) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:         "shell",
		Version:      version,
		ConfigSchema: configSchema,
		ActionTypes: []pluginapi.ActionType{{
			Name: "shell", Runner: "local", Tag: "shell", SpecSchema: shellSchema, Workspace: pluginapi.WorkspaceHostDir,
			Examples: pluginapi.Examples{
				Succeed:      json.RawMessage(`{"cmd": "echo hello"}`),
				Fail:         json.RawMessage(`{"cmd": "echo oops >&2; exit 7"}`),
				Long:         json.RawMessage(`{"cmd": "sleep 120"}`),
				Large:        json.RawMessage(`{"cmd": "seq 1 1500000"}`),
				Stubborn:     json.RawMessage(`{"cmd": "trap '' TERM INT HUP; echo ready; sleep 120"}`),
				Killed:       json.RawMessage(`{"cmd": "kill -KILL $$"}`),
				Unterminated: json.RawMessage(`{"cmd": "printf 'no newline'"}`),
				Endless:      json.RawMessage(`{"cmd": "yes"}`),
			},
		}},
	}, nil
}

func (r *runner) Configure(_ context.Context, cfg *pluginapi.Config) error {
	c, err := parseConfig(cfg.Settings)
	if err != nil {
		return err
	}
	r.env = c.inherited()
	return r.prepare()
}

func (r *runner) CheckHealth(context.Context) (*pluginapi.Health, error) { return r.health(), nil }

func (r *runner) Validate(_ context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	return validate(req.Spec)
}

func (r *runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	s, err := parseSpec(req.Spec)
	if err != nil {
		return nil, err
	}
	launcher, file, dir, err := s.command(req)
	if err != nil {
		return nil, err
	}
	p, err := r.start(launcher, file, dir, r.environment(req, dir))
	if err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "start sh: %w", err)
	}
	return p.follow(ctx, req.StopGrace, out)
}

// environment puts together what a step sees; what the step itself sets wins.
func (r *runner) environment(req *pluginapi.RunRequest, dir string) []string {
	env := make([]string, 0, len(r.env)+3+len(req.Env))
	env = append(env, r.env...)
	env = append(env, "PWD="+dir, "TMPDIR="+req.ScratchDir, "STROEM_SCRATCH="+req.ScratchDir)
	for name, value := range req.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// Remove kills a run that outlived the plugin that started it. Normally there is none: the watchdog was faster.
func (r *runner) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	if len(req.State) == 0 {
		return nil
	}
	var s state
	if err := json.Unmarshal(req.State, &s); err != nil || s.Group <= 1 {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "%q is not the state of a shell run", req.State)
	}
	if s.Started != "" && startTime(s.Group) == s.Started {
		killGroup(s.Group)
		r.log.InfoContext(ctx, "killed a process group that a former instance left behind", "pgid", s.Group, "run", req.RunID)
	}
	return nil
}

// Close ends the watchdog. It is called when no run is under way any more.
func (r *runner) Close() error {
	if r.dog == nil {
		return nil
	}
	return r.dog.close()
}

// state is what is needed to find a run again: the process group, and when its first process started, because
// the number may have been given to another one since.
type state struct {
	Group   int    `json:"pgid"`
	Started string `json:"started"`
}

// discard closes files of which nothing is expected any more.
func discard(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
