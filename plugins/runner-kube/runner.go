package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/stroem/stroem/pluginapi"
)

// runner runs steps as pods, each with a Secret of its own.
type runner struct {
	log *slog.Logger

	// Set by Configure.
	config    config
	cluster   *cluster // nil: there is none, and noCluster says why
	noCluster string

	checked atomic.Bool // the rights in the namespace suffice
}

func newRunner(log *slog.Logger) *runner { return &runner{log: log} }

func (r *runner) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:         "kube",
		Version:      version,
		ConfigSchema: configSchema,
		ActionTypes: []pluginapi.ActionType{
			{
				Name: typeShell, Runner: "pod", Tag: "kubernetes", SpecSchema: shellSchema,
				Workspace: pluginapi.WorkspaceDownload, Attachable: true, Examples: examples(""),
			},
			{
				Name: typePod, Tag: "kubernetes", SpecSchema: podSchema, Attachable: true, Examples: examples("busybox:stable"),
			},
		},
	}, nil
}

// examples are commands in an image; "" is that of the configuration.
func examples(image string) pluginapi.Examples {
	example := func(cmd string) json.RawMessage {
		spec := map[string]any{"cmd": cmd}
		if image != "" {
			spec["image"] = image
		}
		text, _ := json.Marshal(spec) // of strings
		return text
	}
	// What an endless writer writes is kept by the node, whoever reads it: it gets little time. Each line costs Kubernetes a
	// message.
	endless := map[string]any{"cmd": `yes "$(printf %01000d 0)"`, "resources": map[string]string{"cpu": "50m"}}
	if image != "" {
		endless["image"] = image
	}
	slow, _ := json.Marshal(endless) // of strings
	return pluginapi.Examples{
		Succeed:      example("echo hello"),
		Fail:         example("echo oops >&2; exit 7"),
		Long:         example("sleep 120"),
		Large:        example("seq 1 1500000"),
		Stubborn:     example("trap '' TERM INT HUP; echo ready; sleep 120"),
		Killed:       example("kill -KILL $$"),
		Unterminated: example("printf 'no newline'"),
		Endless:      slow,
	}
}

// Configure asks whether the rights suffice, with a limit of its own. That the API server does not answer is told by CheckHealth.
func (r *runner) Configure(ctx context.Context, cfg *pluginapi.Config) error {
	c, err := parseConfig(cfg.Settings)
	if err != nil {
		return err
	}
	r.config = c
	if r.cluster, err = connect(&c); err != nil {
		r.noCluster = err.Error()
		return nil //nolint:nilerr // which is for CheckHealth to tell
	}
	err = r.cluster.checkAccess(ctx)
	switch {
	case errors.Is(err, errUnreachable):
		r.log.WarnContext(ctx, "the API server does not answer: rights are checked later", "address", r.cluster.address)
		return nil
	case err != nil:
		return err
	}
	r.checked.Store(true)
	return nil
}

func (r *runner) CheckHealth(ctx context.Context) (*pluginapi.Health, error) {
	return r.health(ctx), nil
}

func (r *runner) Validate(_ context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	return r.validate(req)
}

// available returns an error where there is no cluster.
func (r *runner) available() error {
	if r.cluster == nil {
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "%s", r.noCluster)
	}
	return nil
}

func (r *runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	s, err := parseSpec(req.Type, req.Spec)
	if err != nil {
		return nil, err
	}
	if err := r.available(); err != nil {
		return nil, err
	}
	c, err := r.gather(req, s)
	if err != nil {
		return nil, err
	}
	base, err := r.basePod(req, s, c)
	if err != nil {
		return nil, err
	}
	pod, err := override(base, s.Manifest)
	if err != nil {
		return nil, err
	}
	if pod != base {
		if err := r.admit(base, pod); err != nil {
			return nil, err
		}
	}
	r.complete(&pod.Spec)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r.begin(ctx, req, c.secret(req), pod, c.refused, out)
}

// Attach takes up a pod by its state.
func (r *runner) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	if err := r.available(); err != nil {
		return nil, err
	}
	s, err := parseState(req.State)
	if err != nil {
		return nil, err
	}
	pod, err := r.cluster.find(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := out.Started(req.State); err != nil {
		return nil, err
	}
	f := r.follower(pod, secretName(req.RunID), req.StopGrace, out)
	f.since = req.Since
	return f.follow(ctx, nil)
}

// Remove deletes the pod and the Secret of a run, whatever they are doing.
func (r *runner) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	if err := r.available(); err != nil {
		return err
	}
	namespace := r.cluster.namespace
	if len(req.State) > 0 {
		s, err := parseState(req.State)
		if err != nil {
			return err
		}
		namespace = s.Namespace
	}
	return r.cluster.removeRun(ctx, namespace, req.RunID)
}

// state is what is needed to find a run's pod again.
type state struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	UID       string `json:"uid"`
}

func parseState(text []byte) (state, error) {
	var s state
	if err := json.Unmarshal(text, &s); err != nil || s.Pod == "" || s.Namespace == "" {
		return s, pluginapi.Errorf(pluginapi.CodeInvalid, "%q is not the state of a run in Kubernetes", text)
	}
	return s, nil
}
