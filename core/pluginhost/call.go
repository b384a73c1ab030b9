package pluginhost

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// begin starts a call to the instance of the moment. The context that it returns ends with the caller's, and as stopped when
// the host cannot wait for the call any longer. The caller calls end.
func (s *supervisor) begin(ctx context.Context) (callCtx context.Context, i *instance, end func(), err error) {
	i, err = s.acquire()
	if err != nil {
		return nil, nil, nil, err
	}
	callCtx, cancel := context.WithCancelCause(ctx)
	unwatch := context.AfterFunc(s.work, func() { cancel(pluginapi.ErrStopped) })
	return callCtx, i, sync.OnceFunc(func() {
		unwatch()
		cancel(nil)
		i.calls.end()
	}), nil
}

// explain returns the error of a call, with ErrPluginGone where the instance ended during it.
func (s *supervisor) explain(ctx context.Context, err error) error {
	if noAnswer(ctx, err) {
		return gone(s.label(), "the plugin ended during the call: %s", strings.TrimPrefix(err.Error(), s.label()+": "))
	}
	return err
}

// noAnswer says whether the error of a call came from the connection instead of the plugin.
func noAnswer(ctx context.Context, err error) bool {
	closing := pluginapi.CodeOf(err) == pluginapi.CodeCanceled && ctx.Err() == nil // the connection, not the call
	return errors.Is(err, hostapi.ErrNoAnswer) || closing
}

// call makes one call.
func call[T any](ctx context.Context, s *supervisor, f func(context.Context, *instance) (T, error)) (T, error) {
	ctx, i, end, err := s.begin(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer end()
	result, err := f(ctx, i)
	return result, s.explain(ctx, err)
}

// do makes a call that has no result.
func do(ctx context.Context, s *supervisor, f func(context.Context, *instance) error) error {
	_, err := call(ctx, s, func(ctx context.Context, i *instance) (struct{}, error) { return struct{}{}, f(ctx, i) })
	return err
}

// handle is the part that is the same for all plugins that the host hands out.
type handle struct{ s *supervisor }

// Describe implements [pluginapi.Plugin] with what is known already.
func (h handle) Describe(context.Context) (*pluginapi.Description, error) {
	if description := h.s.known(); description != nil {
		return description, nil
	}
	return nil, gone(h.s.label(), "the plugin has not started yet")
}

// Configure implements [pluginapi.Plugin]; it always fails.
func (h handle) Configure(context.Context, *pluginapi.Config) error {
	return pluginapi.Errorf(pluginapi.CodePrecondition, "%s: plugins are configured by their host", h.s.label())
}

// CheckHealth implements [pluginapi.Plugin].
func (h handle) CheckHealth(ctx context.Context) (*pluginapi.Health, error) {
	return call(ctx, h.s, func(ctx context.Context, i *instance) (*pluginapi.Health, error) {
		return i.plugin().CheckHealth(ctx)
	})
}

// Validate implements [pluginapi.Validator].
func (h handle) Validate(ctx context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	return call(ctx, h.s, func(ctx context.Context, i *instance) (pluginapi.Diagnostics, error) {
		return i.plugin().Validate(ctx, req)
	})
}
