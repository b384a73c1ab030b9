package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

type runner struct {
	attachable bool
	dataDir    string
}

func (r *runner) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "example.keeper", ActionTypes: []pluginapi.ActionType{{
		Name: "example.keeper", Tag: "keeper", Attachable: r.attachable,
		SpecSchema: json.RawMessage(`{"type": "object", "required": ["cmd"], "properties": {"cmd": {"type": "string"}}}`),
	}}}, nil
}

func (r *runner) Configure(_ context.Context, cfg *pluginapi.Config) error {
	r.dataDir = cfg.DataDir
	return nil
}

func (r *runner) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// state is how a run is found again: the process that keeps it, and the directory where it does so.
type state struct {
	Keeper int    `json:"keeper"`
	Dir    string `json:"dir"`
}

func (r *runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	var spec struct {
		Cmd string `json:"cmd"`
	}
	if err := json.Unmarshal(req.Spec, &spec); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: %w", err)
	}
	s := state{Dir: filepath.Join(req.ScratchDir, "keeper")}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "cmd"), []byte(spec.Cmd), 0o600); err != nil {
		return nil, fmt.Errorf("write cmd: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(program, keepCommand, s.Dir) //nolint:noctx // it outlives the call
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	for name, value := range req.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	ended := make(chan struct{})
	go func() { // it is reaped here as long as this process lives, which is all that this is for
		defer close(ended)
		_ = cmd.Wait()
	}()
	s.Keeper = cmd.Process.Pid
	s.appears(ended)
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	if err := out.Started(text); err != nil {
		s.signal(syscall.SIGKILL)
		return nil, err
	}
	return s.follow(ctx, time.Time{}, req.StopGrace, out)
}

func (r *runner) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	s, err := parseState(req.State)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.Dir); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "nothing is kept of the run: %w", err)
	}
	if err := out.Started(req.State); err != nil {
		return nil, err
	}
	return s.follow(ctx, req.Since, req.StopGrace, out)
}

// Remove ends a run, and notes in the plugin's directory that it was called.
func (r *runner) Remove(_ context.Context, req *pluginapi.RemoveRequest) (err error) {
	note, err := os.OpenFile(filepath.Join(r.dataDir, "removed"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, note.Close()) }()
	if _, err := fmt.Fprintln(note, req.RunID); err != nil || len(req.State) == 0 {
		return err
	}
	s, err := parseState(req.State)
	if err != nil {
		return err
	}
	s.signal(syscall.SIGKILL)
	return os.RemoveAll(s.Dir)
}

func parseState(text []byte) (state, error) {
	var s state
	if err := json.Unmarshal(text, &s); err != nil || s.Keeper <= 1 {
		return s, pluginapi.Errorf(pluginapi.CodeInvalid, "%q is not the state of a run", text)
	}
	return s, nil
}
