package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// letGo makes the file go in the scratch directory, for which the step waits.
func (f *fixture) letGo(t *testing.T) {
	t.Helper()
	var files bytes.Buffer
	p := packer{w: tar.NewWriter(&files)}
	p.file(scratchPath+"/go", nil)
	require.NoError(t, errors.Join(p.err, p.w.Close()))
	require.NoError(t, f.api.CopyToContainer(t.Context(), name(f.req.RunID, f.req.Labels), "/", &files, container.CopyToContainerOptions{}))
}

// leaver is an output whose host goes when it hears of the run.
type leaver struct {
	*plugintest.Recorder
	leave context.CancelCauseFunc
}

func (l leaver) Started(state []byte) error {
	err := l.Recorder.Started(state)
	l.leave(pluginapi.ErrHostGone)
	return err
}

// deaf is an output whose host has gone, of which a run hears a little later.
type deaf struct {
	*plugintest.Recorder
	leave context.CancelCauseFunc
}

func (d deaf) Stdout() io.Writer { return d }

func (d deaf) Write([]byte) (int, error) {
	time.AfterFunc(100*time.Millisecond, func() { d.leave(pluginapi.ErrHostGone) })
	return 0, errors.New("nobody listens")
}

// TestHostThatGoes: what the next one may ask for is there, whenever a host goes.
func TestHostThatGoes(t *testing.T) {
	t.Parallel()
	r := newTestRunner()
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, nil)}))
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	for name, begin := range map[string]func(ctx context.Context, f *fixture, leave context.CancelCauseFunc) error{
		"before the start": func(ctx context.Context, f *fixture, leave context.CancelCauseFunc) error {
			_, err := r.Run(ctx, f.req, leaver{plugintest.NewRecorder(), leave})
			return err
		},
		"during output": func(ctx context.Context, f *fixture, leave context.CancelCauseFunc) error {
			_, err := r.Run(ctx, f.req, deaf{plugintest.NewRecorder(), leave})
			return err
		},
		"after the end": func(ctx context.Context, f *fixture, leave context.CancelCauseFunc) error {
			l, err := r.newLaunch(f.req, plugintest.NewRecorder())
			if err == nil {
				err = l.prepare(ctx)
			}
			if err == nil {
				_, err = l.start(ctx)
			}
			if err != nil {
				return err
			}
			result, err := r.follow(ctx, l.id, f.req.StopGrace, newCursor(zero), plugintest.NewRecorder())
			if err != nil {
				return err
			}
			leave(pluginapi.ErrHostGone)
			_, err = r.ended(ctx, f.req.RunID, l.id, "", result, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeDocker, doc{"cmd": "echo here; exit 7"}, nil)
			ctx, leave := context.WithCancelCause(t.Context())
			require.ErrorIs(t, begin(ctx, f, leave), pluginapi.ErrHostGone)
			result, err := f.runner.Attach(t.Context(), f.attachRequest(zero, nil), f.out)
			require.NoError(t, err)
			require.Equal(t, exit(7), *result)
			stdout, _, _ := f.out.Text()
			require.Equal(t, "here\n", stdout)
		})
	}
}
