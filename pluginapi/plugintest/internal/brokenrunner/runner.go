//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// The action types: one whose steps are part of the plugin, and one whose steps outlive it.
const (
	countType    = "test.count"
	detachedType = "test.detached"
)

// spec is what a step does: it counts.
type spec struct {
	To       int    `json:"to"`
	PauseMS  int    `json:"pause_ms"` // after each number
	Text     string `json:"text"`     // written first, as it is
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal"`   // by which the step ends
	Stubborn bool   `json:"stubborn"` // it does not end when told to
	Label    string `json:"label"`    // has no effect
}

type runner struct {
	faults
	log    *slog.Logger
	stderr io.Writer // the plugin's own; go-plugin takes os.Stderr

	configured atomic.Bool
}

func newRunner(f faults) *runner {
	return &runner{faults: f, log: pluginapi.NewLogger(), stderr: os.Stderr}
}

func (r *runner) Describe(context.Context) (*pluginapi.Description, error) {
	version := "1"
	if r.configured.Load() && r.describesAnew {
		version = "2"
	}
	count, schema := countType, json.RawMessage(`{"type": "object"}`)
	if r.foreignType {
		count = "other.count"
	}
	endless := json.RawMessage(`{"to": 1000000000000}`)
	stubborn := json.RawMessage(`{"to": 1000, "pause_ms": 1000, "stubborn": true}`)
	return &pluginapi.Description{
		Name: "test.broken", Version: version,
		ActionTypes: []pluginapi.ActionType{
			{
				Name: count, Tag: "test", SpecSchema: schema,
				Examples: pluginapi.Examples{
					Succeed:      json.RawMessage(`{"to": 3, "label": "three"}`),
					Fail:         json.RawMessage(`{"to": 1, "exit_code": 7}`),
					Long:         json.RawMessage(`{"to": 1000, "pause_ms": 1000}`),
					Large:        json.RawMessage(`{"to": 1500000}`),
					Stubborn:     stubborn,
					Killed:       json.RawMessage(`{"signal": "SIGKILL"}`),
					Unterminated: json.RawMessage(`{"text": "no newline"}`),
					Endless:      endless,
				},
			},
			{
				Name: detachedType, Tag: "test", SpecSchema: schema, Attachable: true,
				Examples: pluginapi.Examples{Long: json.RawMessage(`{}`), Stubborn: json.RawMessage(`{"stubborn": true}`)},
			},
		},
	}, nil
}

func (r *runner) Configure(_ context.Context, cfg *pluginapi.Config) error {
	if string(cfg.Settings) != "{}" {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "there is nothing to set")
	}
	r.configured.Store(true)
	if r.logsText {
		fmt.Fprintln(r.stderr, "hello, this is no JSON")
	}
	return nil
}

func (r *runner) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

func (r *runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	var s spec
	if err := json.Unmarshal(req.Spec, &s); err != nil && !r.acceptsAnything {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: %w", err)
	}
	if r.logsEnv {
		r.log.InfoContext(ctx, "run", "env", req.Env)
	}
	if r.logsSpec {
		r.log.InfoContext(ctx, "run", "spec", string(req.Spec))
	}
	if req.Type == detachedType {
		return r.runDetached(ctx, req, s, out)
	}
	if r.leavesProcesses && s.PauseMS > 0 {
		if _, err := startStep(req, nil); err != nil {
			return nil, err
		}
	}
	if err := out.Started(r.state(req)); err != nil {
		return nil, err
	}
	return r.count(ctx, req, s, out.Stdout())
}

// state is what the count type has to say about a run: nothing, unless that is to be broken.
func (r *runner) state(req *pluginapi.RunRequest) []byte {
	if r.stateHasEnv {
		state, _ := json.Marshal(req.Env) // strings can be encoded
		return state
	}
	return nil
}

// count is the step.
func (r *runner) count(ctx context.Context, req *pluginapi.RunRequest, s spec, stdout io.Writer) (*pluginapi.Result, error) {
	w := bufio.NewWriterSize(stdout, 64<<10)
	_, _ = w.WriteString(s.Text) // Flush says whether it worked
	for n := 1; n <= s.To; n++ {
		if r.losesTail && n > 1_400_000 && s.To == 1_500_000 {
			break
		}
		if n%1000 == 0 && ctx.Err() != nil && !s.Stubborn {
			return stopped(), nil
		}
		_, _ = w.Write(append(strconv.AppendInt(w.AvailableBuffer(), int64(n), 10), '\n'))
		if s.PauseMS == 0 {
			continue
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return r.interrupted(ctx, req, s), nil
		case <-time.After(time.Duration(s.PauseMS) * time.Millisecond):
		}
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if s.Signal != "" {
		return &pluginapi.Result{ExitCode: -1, Signal: s.Signal}, nil
	}
	return &pluginapi.Result{ExitCode: s.ExitCode}, nil
}

func stopped() *pluginapi.Result { return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"} }

// interrupted ends a step that was told to stop, a stubborn one by force. One whose host is gone has no grace.
func (r *runner) interrupted(ctx context.Context, req *pluginapi.RunRequest, s spec) *pluginapi.Result {
	cause := context.Cause(ctx)
	told := errors.Is(cause, pluginapi.ErrStopped) || errors.Is(cause, pluginapi.ErrTimedOut)
	switch {
	case told && !s.Stubborn && r.stoppedIsSuccess:
		return &pluginapi.Result{}
	case !s.Stubborn:
		return stopped()
	case told && !r.hasNoGrace:
		<-time.After(req.StopGrace)
	}
	return &pluginapi.Result{ExitCode: -1, Signal: "SIGKILL"}
}

// Remove is called when the run is not under way any more.
func (r *runner) Remove(_ context.Context, req *pluginapi.RemoveRequest) error {
	if len(req.State) == 0 && r.removesKnownOnly {
		return pluginapi.Errorf(pluginapi.CodeNotFound, "no run %s", req.RunID)
	}
	return removeDetached(req.State)
}
