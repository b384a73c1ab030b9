package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

var (
	//go:embed schema/config.json
	configSchema []byte
	//go:embed schema/spec.json
	specSchema []byte
)

// config is what the operator may set.
type config struct {
	MaxResponseBytes int64 `json:"max_response_bytes"`
}

// runner implements pluginapi.Runner and pluginapi.Validator. Its methods are called from many goroutines at the same time.
type runner struct {
	log       *slog.Logger
	transport *http.Transport
	config    config // set by Configure, which comes before any run
}

func newRunner(log *slog.Logger) *runner {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment, // the host passes these variables on
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true, // so that max_response_bytes bounds what travels and what is put out
	}
	return &runner{log: log, transport: transport}
}

// Describe says what the plugin is. The name is also that of the file: runner-example.http.
func (r *runner) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:         "example.http",
		Version:      "1.0.0",
		ConfigSchema: configSchema,
		ActionTypes: []pluginapi.ActionType{{
			Name:       "example.http_request",
			Tag:        "http",
			SpecSchema: specSchema,
			// No Examples: a request needs a server, which the conformance test brings along.
		}},
	}, nil
}

// Configure takes the operator's settings. The host has checked them against the schema; a plugin that is stricter than
// its schema would return pluginapi.Diagnostics here.
func (r *runner) Configure(_ context.Context, cfg *pluginapi.Config) error {
	r.config = config{MaxResponseBytes: 64 << 20}
	return decode(cfg.Settings, &r.config)
}

// CheckHealth says whether steps can run now. This runner needs nothing but the network, and has no server of its own to
// look at.
func (r *runner) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// Validate says what the schema cannot: it is asked where workspaces are checked, before anything runs. Texts may be templates.
func (r *runner) Validate(_ context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	var s spec
	if err := decode(req.Spec, &s); err != nil {
		return nil, err
	}
	var problems pluginapi.Diagnostics
	if !strings.Contains(s.URL, "{") {
		if target, err := url.Parse(s.URL); err != nil || target.Host == "" {
			problems = append(problems, pluginapi.Diagnostic{Severity: pluginapi.SeverityError, Path: "/url", Message: "'url' names no host"})
		}
	}
	known := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		if other, twice := known[canonical]; twice {
			problems = append(problems, pluginapi.Diagnostic{
				Severity: pluginapi.SeverityWarning, Path: "/headers/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name),
				Message: fmt.Sprintf("'%s' and '%s' are the same header: one of them is sent", other, name),
			})
		}
		known[canonical] = name
	}
	return problems, nil
}

// Run executes one step.
func (r *runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	spec, err := parseSpec(req.Spec)
	if err != nil {
		return nil, err // nothing has started: the host is told that the spec is wrong
	}
	// From here on the run exists. There is no state to keep: when this process dies, so does the connection.
	if err := out.Started(nil); err != nil {
		return nil, err
	}
	result, err := r.send(ctx, spec, out)
	if ctx.Err() != nil { // stopped: there is no result that the step came to by itself
		return nil, ctx.Err()
	}
	if err == nil { // of the spec, nothing belongs in here: it may hold secrets
		r.log.DebugContext(ctx, "request ended", "run", req.RunID, "exit_code", result.ExitCode)
	}
	return result, err
}

// Remove clears away what is left of a run after a crash. Nothing is: when the process ends, so do its connections.
func (r *runner) Remove(context.Context, *pluginapi.RemoveRequest) error { return nil }

// decode reads a JSON object strictly. Errors name keys, not values: these may be secret.
func decode(text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "%q cannot be %s", mismatch.Field, mismatch.Value)
	}
	if err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "decode: %w", err)
	}
	return nil
}
