package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// runner executes steps that count.
type runner struct{}

// spec is what an action of this type says.
type spec struct {
	To       int    `json:"to"`
	Pause    string `json:"pause"`
	ExitCode int    `json:"exit_code"`
}

// Describe says what the plugin is. It always says the same.
func (*runner) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:    "example.skeleton",
		Version: "0.1.0",
		ConfigSchema: json.RawMessage(`{
			"type": "object",
			"additionalProperties": false
		}`),
		ActionTypes: []pluginapi.ActionType{{
			Name: "example.skeleton",
			Tag:  "example.skeleton", // what a step of this type requires of a worker
			SpecSchema: json.RawMessage(`{
				"type": "object",
				"required": ["to"],
				"additionalProperties": false,
				"properties": {
					"to": {"description": "Counts from 1 to this number.", "type": "integer", "minimum": 1},
					"pause": {"description": "Between two numbers, such as 500ms or 2s.", "type": "string"},
					"exit_code": {"description": "With which the step ends.", "type": "integer"}
				}
			}`),
			Examples: pluginapi.Examples{
				Succeed: json.RawMessage(`{"to": 3}`),
				Fail:    json.RawMessage(`{"to": 1, "exit_code": 3}`),
				Long:    json.RawMessage(`{"to": 1000, "pause": "1s"}`),
				Large:   json.RawMessage(`{"to": 1500000}`),
				Endless: json.RawMessage(`{"to": 1000000000000}`),
			},
		}},
	}, nil
}

// Configure gets the operator's settings, once. They match the schema; what a schema cannot say is checked here.
func (*runner) Configure(_ context.Context, cfg *pluginapi.Config) error {
	return decode(cfg.Settings, &struct{}{})
}

// CheckHealth says whether the plugin can work now: look here whether what it depends on answers.
func (*runner) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// Run executes one step. It is called for many steps at the same time. When ctx ends, the step has to.
func (*runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	var s spec
	if err := decode(req.Spec, &s); err != nil {
		return nil, err
	}
	var pause time.Duration
	if s.Pause != "" {
		var err error
		if pause, err = time.ParseDuration(s.Pause); err != nil {
			return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "pause has to look like 500ms or 2s")
		}
	}
	// Here goes what Remove needs to find the step again when this process has died: an id, no secrets.
	if err := out.Started(nil); err != nil {
		return nil, err
	}
	w := bufio.NewWriter(out.Stdout())
	for n := 1; n <= s.To; n++ {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return nil, err // nobody listens any more
		}
		if pause > 0 {
			if err := w.Flush(); err != nil {
				return nil, err
			}
			wait(ctx, pause)
		}
		if ctx.Err() != nil {
			return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, w.Flush()
		}
	}
	// An exit code other than zero is a result. An error would mean that the step could not be run at all.
	return &pluginapi.Result{ExitCode: s.ExitCode}, w.Flush()
}

// Remove clears away what is left of a run after a crash. Nothing is: steps are part of this process.
func (*runner) Remove(context.Context, *pluginapi.RemoveRequest) error { return nil }

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// decode reads JSON strictly. Its error does not repeat values: they may be secret.
func decode(data json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "read JSON: %w", err)
	}
	return nil
}
