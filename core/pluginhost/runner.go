package pluginhost

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// runnerHandle is a runner that stays valid across restarts. It is a [pluginapi.Attacher], too.
type runnerHandle struct{ handle }

// Run implements [pluginapi.Runner]. The spec is held against the schema of its type first.
func (h runnerHandle) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	if schema := h.s.spec(actionKey{req.Type, req.Runner}); schema != nil {
		spec, err := schema.conform(req.Spec)
		if err != nil {
			return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%s: %w", h.s.label(), err)
		}
		if !bytes.Equal(spec, req.Spec) {
			conforming := *req
			conforming.Spec, req = spec, &conforming
		}
	}
	remains := pluginapi.RemoveRequest{RunID: req.RunID, Type: req.Type, Runner: req.Runner, Labels: req.Labels}
	return h.follow(ctx, remains, func(ctx context.Context, i *instance, entry *run) (*pluginapi.Result, error) {
		return i.runner().Run(ctx, req, started{Output: out, run: entry})
	})
}

// Attach implements [pluginapi.Attacher].
func (h runnerHandle) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	remains := pluginapi.RemoveRequest{RunID: req.RunID, Type: req.Type, Runner: req.Runner, State: req.State, Labels: req.Labels}
	return h.follow(ctx, remains, func(ctx context.Context, i *instance, entry *run) (*pluginapi.Result, error) {
		return i.runner().Attach(ctx, req, started{Output: out, run: entry})
	})
}

// follow does a run, and remembers it when the plugin ends during it.
func (h runnerHandle) follow(ctx context.Context, remains pluginapi.RemoveRequest,
	f func(context.Context, *instance, *run) (*pluginapi.Result, error),
) (*pluginapi.Result, error) {
	ctx, i, end, err := h.s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	entry := h.s.runs.add(i, remains, h.s.attachable(actionKey{remains.Type, remains.Runner}))
	result, err := f(ctx, i, entry)
	err = h.s.explain(ctx, err)
	if !errors.Is(err, ErrPluginGone) {
		h.s.runs.done(entry)
		return result, err
	}
	// Whoever hears that the run was cut off must not find the plugin among those that are ready.
	timer := time.NewTimer(noticeLimit)
	defer timer.Stop()
	select {
	case <-i.calls.ending:
	case <-timer.C: // the connection broke, and the process did not end
	}
	if entry.goesOn() {
		h.s.runs.done(entry)
		return result, left(err)
	}
	return result, err
}

// noticeLimit is how long it may take until the end of a process is noticed whose connection has broken.
const noticeLimit = 5 * time.Second

// Remove implements [pluginapi.Runner].
func (h runnerHandle) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	return do(ctx, h.s, func(ctx context.Context, i *instance) error { return i.runner().Remove(ctx, req) })
}
