package hostapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a runner that does what the test says.
type scripted struct {
	run       func(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error)
	configure func() error
}

func (*scripted) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "scripted"}, nil
}

func (s *scripted) Configure(context.Context, *pluginapi.Config) error {
	if s.configure != nil {
		return s.configure()
	}
	return nil
}

func (*scripted) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Unavailable, Message: "no engine"}, nil
}

func (s *scripted) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	return s.run(ctx, req, out)
}

func (*scripted) Remove(context.Context, *pluginapi.RemoveRequest) error { return nil }

// connect returns the runner at the other end of a connection, not yet configured.
func connect[P pluginapi.Plugin](t *testing.T, plugin P) *hostapi.Runner {
	t.Helper()
	return hostapi.NewRunner(plugintest.InProcess(func() P { return plugin })(t), "runner(scripted)")
}

func configured(t *testing.T, s *scripted) *hostapi.Runner {
	t.Helper()
	r := connect(t, s)
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{}))
	return r
}

func TestErrorsCrossTheWire(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err       error
		code      pluginapi.Code
		retryable bool
	}{
		"plain":       {errors.New("it broke"), pluginapi.CodeInternal, false},
		"coded":       {pluginapi.Errorf(pluginapi.CodeNotFound, "it broke"), pluginapi.CodeNotFound, false},
		"wrapped":     {fmt.Errorf("it %w", pluginapi.Errorf(pluginapi.CodeDenied, "broke")), pluginapi.CodeDenied, false},
		"unavailable": {pluginapi.Errorf(pluginapi.CodeUnavailable, "it broke"), pluginapi.CodeUnavailable, true},
		"retryable": {
			&pluginapi.Error{Code: pluginapi.CodeExhausted, Message: "it broke", Retryable: true}, pluginapi.CodeExhausted, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := configured(t, &scripted{run: func(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
				return nil, test.err
			}})
			_, err := r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r"}, plugintest.NewRecorder())
			require.EqualError(t, err, "runner(scripted): it broke")
			e, ok := errors.AsType[*pluginapi.Error](err)
			require.True(t, ok)
			require.Equal(t, test.code, e.Code)
			require.Equal(t, test.retryable, e.Retryable)
		})
	}
}

func TestDiagnosticsCrossTheWire(t *testing.T) {
	t.Parallel()
	want := pluginapi.Diagnostics{
		{Severity: pluginapi.SeverityError, Path: "/host", Message: "has to be a URL"},
		{Severity: pluginapi.SeverityWarning, Message: "old"},
	}
	r := connect(t, &scripted{configure: func() error { return want }})
	err := r.Configure(t.Context(), &pluginapi.Config{})
	require.EqualError(t, err, "runner(scripted): /host: has to be a URL; old")
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
	got, ok := errors.AsType[pluginapi.Diagnostics](err)
	require.True(t, ok)
	require.Equal(t, want, got)
}

func TestLifeCycle(t *testing.T) {
	t.Parallel()
	r := connect(t, &scripted{})
	_, err := r.CheckHealth(t.Context())
	require.Equal(t, pluginapi.CodePrecondition, pluginapi.CodeOf(err), "before Configure")
	_, err = r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r"}, plugintest.NewRecorder())
	require.Equal(t, pluginapi.CodePrecondition, pluginapi.CodeOf(err), "before Configure")
	d, err := r.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, pluginapi.KindRunner, d.Kind)
	require.NotEmpty(t, d.Version)
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{}))
	require.Equal(t, pluginapi.CodePrecondition, pluginapi.CodeOf(r.Configure(t.Context(), &pluginapi.Config{})))
	health, err := r.CheckHealth(t.Context())
	require.NoError(t, err)
	require.Equal(t, &pluginapi.Health{State: pluginapi.Unavailable, Message: "no engine"}, health)
	problems, err := r.Validate(t.Context(), &pluginapi.ValidateRequest{})
	require.NoError(t, err)
	require.Empty(t, problems)
	_, err = r.Attach(t.Context(), &pluginapi.AttachRequest{RunID: "r"}, plugintest.NewRecorder())
	require.Equal(t, pluginapi.CodeUnimplemented, pluginapi.CodeOf(err))
}

func TestTheCauseOfAStopReachesThePlugin(t *testing.T) {
	t.Parallel()
	deadline := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithDeadline(ctx, time.Now().Add(50*time.Millisecond))
	}
	cause := func(err error) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(50*time.Millisecond, func() { cancel(err) })
			return ctx, func() { cancel(nil) }
		}
	}
	for name, test := range map[string]struct {
		limit func(context.Context) (context.Context, context.CancelFunc)
		want  error
	}{
		"cancelled": {cause(nil), pluginapi.ErrStopped},
		"stopped":   {cause(pluginapi.ErrStopped), pluginapi.ErrStopped},
		"timed out": {cause(pluginapi.ErrTimedOut), pluginapi.ErrTimedOut},
		"deadline":  {deadline, pluginapi.ErrTimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			causes := make(chan error, 1)
			r := configured(t, &scripted{run: func(ctx context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				_, err := out.Stdout().Write([]byte("last words"))
				return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, err
			}})
			ctx, cancel := test.limit(t.Context())
			defer cancel()
			out := plugintest.NewRecorder()
			result, err := r.Run(ctx, &pluginapi.RunRequest{RunID: "r", StopGrace: time.Minute}, out)
			require.NoError(t, err)
			require.Equal(t, &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, result)
			require.Equal(t, test.want, <-causes)
			stdout, _, _ := out.Text()
			require.Equal(t, "last words", stdout, "the tail of the output has to come after a stop")
		})
	}
}

func TestARunThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		released := make(chan struct{})
		r := configured(t, &scripted{run: func(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
			<-released
			return &pluginapi.Result{}, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := r.Run(ctx, &pluginapi.RunRequest{RunID: "r", StopGrace: 10 * time.Second}, plugintest.NewRecorder())
		require.EqualError(t, err, "runner(scripted): the run did not end within 15s of being told to stop")
		require.Equal(t, pluginapi.CodeTimeout, pluginapi.CodeOf(err))
		require.Equal(t, 16*time.Second, time.Since(begin))
		close(released)
	})
}

// deaf is an output that fails.
type deaf struct{ *plugintest.Recorder }

var errDeaf = errors.New("deaf")

func (deaf) Started([]byte) error { return errDeaf }

func TestAFailingOutputStopsTheRun(t *testing.T) {
	t.Parallel()
	causes := make(chan error, 1)
	r := configured(t, &scripted{run: func(ctx context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		if err := out.Started([]byte("state")); err != nil {
			return nil, err
		}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return &pluginapi.Result{}, nil
	}})
	_, err := r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r"}, deaf{plugintest.NewRecorder()})
	require.ErrorIs(t, err, errDeaf)
	require.Equal(t, pluginapi.ErrStopped, <-causes)
}

func TestARunThatWasCancelledBeforehandDoesNotStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := configured(t, &scripted{})
	cancel()
	_, err := r.Run(ctx, &pluginapi.RunRequest{RunID: "r"}, plugintest.NewRecorder())
	require.ErrorIs(t, err, context.Canceled)
}

// A host that lets go of a run does not stop it: to the plugin it is gone.
func TestLettingGoIsNoStop(t *testing.T) {
	t.Parallel()
	causes, running := make(chan error, 1), make(chan struct{})
	r := configured(t, &scripted{run: func(ctx context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		err := out.Started([]byte("state"))
		close(running)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, errors.Join(err, context.Cause(ctx))
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, &pluginapi.RunRequest{RunID: "r", StopGrace: time.Hour}, plugintest.NewRecorder())
		ended <- err
	}()
	<-running
	cancel(fmt.Errorf("superseded: %w", pluginapi.ErrHostGone))
	require.Error(t, <-ended)
	require.Equal(t, pluginapi.ErrHostGone, <-causes)
}

// attacher is a runner that attaches as the test says.
type attacher struct {
	scripted
	attach func(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error)
}

func (a *attacher) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	return a.attach(ctx, req, out)
}

// timed keeps with what time output came.
type timed struct {
	*plugintest.Recorder
	times map[string]time.Time
}

func (o timed) Stdout() io.Writer { return o }

func (o timed) Write(p []byte) (int, error) { return o.WriteTimed(p, time.Now()) }

func (o timed) WriteTimed(p []byte, at time.Time) (int, error) {
	o.times[string(p)] = at
	return len(p), nil
}

func TestAttach(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	requests := make(chan *pluginapi.AttachRequest, 2)
	r := hostapi.NewRunner(plugintest.InProcess(func() *attacher {
		return &attacher{attach: func(_ context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
			requests <- req
			for i := range 2 {
				if _, err := pluginapi.WriteTimed(out.Stdout(), []byte{'a' + byte(i)}, since.Add(time.Duration(i)*time.Second)); err != nil {
					return nil, err
				}
			}
			return &pluginapi.Result{ExitCode: 4}, nil
		}}
	})(t), "runner(scripted)")
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{}))
	want := &pluginapi.AttachRequest{RunID: "r", Type: "t", State: []byte("state"), Since: since, ScratchDir: "/s", StopGrace: time.Second}
	out := timed{plugintest.NewRecorder(), map[string]time.Time{}}
	result, err := r.Attach(t.Context(), want, out)
	require.NoError(t, err)
	require.Equal(t, 4, result.ExitCode)
	require.Equal(t, want, <-requests)
	require.Equal(t, map[string]time.Time{"a": since, "b": since.Add(time.Second)}, out.times, "each piece of output keeps its time")
	want.Since = time.Time{}
	_, err = r.Attach(t.Context(), want, plugintest.NewRecorder())
	require.NoError(t, err)
	require.True(t, (<-requests).Since.IsZero(), "from the beginning")
}

// A run whose time is over already is attached to in order to be stopped.
func TestAttachWithAContextThatHasEnded(t *testing.T) {
	t.Parallel()
	r := hostapi.NewRunner(plugintest.InProcess(func() *attacher {
		return &attacher{attach: func(ctx context.Context, _ *pluginapi.AttachRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
			<-ctx.Done()
			if context.Cause(ctx) != pluginapi.ErrTimedOut { //nolint:errorlint // the very error
				return nil, context.Cause(ctx)
			}
			return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, nil
		}}
	})(t), "runner(scripted)")
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{}))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(pluginapi.ErrTimedOut)
	result, err := r.Attach(ctx, &pluginapi.AttachRequest{RunID: "r"}, plugintest.NewRecorder())
	require.NoError(t, err)
	require.Equal(t, "SIGTERM", result.Signal)
}
