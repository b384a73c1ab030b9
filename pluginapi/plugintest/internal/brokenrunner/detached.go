//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// stepArg makes the program a step that outlives the plugin. It and the plugin talk by files in the scratch directory: out,
// stop and exit.
const stepArg = "step"

const (
	stepPoll = 10 * time.Millisecond
	stepLife = 30 * time.Second // so that one that is left behind on purpose does not stay for ever
)

// stepMain is the step: it writes a line and waits to be told to stop, or, if it is stubborn, to be killed.
func stepMain(dir string, args []string) {
	if err := os.WriteFile(filepath.Join(dir, "out"), []byte("ready\n"), 0o600); err != nil {
		os.Exit(1)
	}
	for end := time.Now().Add(stepLife); time.Now().Before(end); {
		<-time.After(stepPoll)
		if exists(dir, "stop") && !slices.Contains(args, "stubborn") {
			_ = os.WriteFile(filepath.Join(dir, "exit"), nil, 0o600)
			return
		}
	}
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// detached is the state of a detached step.
type detached struct {
	Dir string `json:"dir"`
	PID int    `json:"pid"`
}

// startStep starts a step in a session of its own.
func startStep(req *pluginapi.RunRequest, args []string) (*detached, error) {
	cmd := exec.Command(os.Args[0], append([]string{stepArg, req.ScratchDir}, args...)...) //nolint:noctx // it outlives this process
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for name, value := range req.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Start(); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "start step: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return &detached{Dir: req.ScratchDir, PID: cmd.Process.Pid}, nil
}

func (r *runner) runDetached(ctx context.Context, req *pluginapi.RunRequest, s spec, out pluginapi.Output) (*pluginapi.Result, error) {
	var args []string
	if s.Stubborn {
		args = []string{"stubborn"}
	}
	d, err := startStep(req, args)
	if err != nil {
		return nil, err
	}
	return d.follow(ctx, req.StopGrace, time.Time{}, out)
}

// Attach implements [pluginapi.Attacher].
func (r *runner) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	var d detached
	if err := json.Unmarshal(req.State, &d); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read state: %w", err)
	}
	if exists(d.Dir, "exit") && !r.attachesToAnything {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "the run is gone")
	}
	since := req.Since
	if r.repeatsOutput {
		since = time.Time{}
	}
	return d.follow(ctx, req.StopGrace, since, out)
}

// follow copies what the step writes until it has ended.
func (d *detached) follow(ctx context.Context, grace time.Duration, since time.Time, out pluginapi.Output) (*pluginapi.Result, error) {
	state, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if err := out.Started(state); err != nil {
		return nil, err
	}
	var from int64
	if info, err := os.Stat(filepath.Join(d.Dir, "out")); err == nil && !info.ModTime().After(since) {
		from = info.Size()
	}
	var force <-chan time.Time
	stop := ctx.Done()
	for !exists(d.Dir, "exit") {
		if from, err = d.copy(from, out.Stdout()); err != nil {
			return nil, err
		}
		select {
		case <-stop:
			stop = nil
			if errors.Is(context.Cause(ctx), pluginapi.ErrHostGone) {
				return nil, context.Cause(ctx) // it goes on
			}
			force = time.After(grace)
			if err := os.WriteFile(filepath.Join(d.Dir, "stop"), nil, 0o600); err != nil {
				return nil, err
			}
		case <-force:
			d.kill()
			return &pluginapi.Result{ExitCode: -1, Signal: "SIGKILL"}, nil
		case <-time.After(stepPoll):
		}
	}
	return stopped(), nil
}

// copy copies what the step has written beyond from, and returns where that ends.
func (d *detached) copy(from int64, w io.Writer) (int64, error) {
	f, err := os.Open(filepath.Join(d.Dir, "out"))
	if errors.Is(err, fs.ErrNotExist) {
		return from, nil
	}
	if err != nil {
		return from, err
	}
	defer func() { _ = f.Close() }() // only read from
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return from, err
	}
	n, err := io.Copy(w, f)
	return from + n, err
}

// kill ends the step by force, and says so for everybody who may attach later.
func (d *detached) kill() {
	_ = syscall.Kill(-d.PID, syscall.SIGKILL)
	_ = os.WriteFile(filepath.Join(d.Dir, "exit"), nil, 0o600) // the directory may be gone
}

func removeDetached(state []byte) error {
	if len(state) == 0 {
		return nil
	}
	var d detached
	if json.Unmarshal(state, &d) == nil && d.PID > 1 { // else it is of the other type
		d.kill()
	}
	return nil
}
