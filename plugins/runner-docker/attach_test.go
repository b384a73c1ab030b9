package main

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func (f *fixture) attachRequest(since time.Time, state []byte) *pluginapi.AttachRequest {
	return &pluginapi.AttachRequest{
		RunID: f.req.RunID, Type: f.req.Type, Runner: f.req.Runner, State: state, Since: since,
		ScratchDir: f.req.ScratchDir, StopGrace: f.req.StopGrace, Labels: f.req.Labels,
	}
}

// TestAttachAfterKill kills the plugin in the midst of a step that writes to both streams, and goes on with another one.
func TestAttachAfterKill(t *testing.T) {
	t.Parallel()
	const lines = 300
	f := setup(t, typeShell, doc{
		"cmd": "i=0; while [ $i -lt 300 ]; do echo out$i; echo err$i >&2; i=$((i+1)); [ $((i%10)) = 0 ] && sleep 0.05; done; exit 5",
	}, doc{"workspace": "volume"})
	cmd, lost := process(t)
	k := newKeeper()
	ended := make(chan error, 1)
	go func() {
		_, err := lost.Run(t.Context(), f.req, k)
		ended <- err
	}()
	<-k.enough
	require.NoError(t, cmd.Process.Kill())
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(<-ended))

	result, err := f.runner.Attach(t.Context(), f.attachRequest(k.known(), k.state), k)
	require.NoError(t, err)
	require.Equal(t, exit(5), *result)
	var stdout, stderr strings.Builder
	for n := range lines {
		stdout.WriteString("out" + strconv.Itoa(n) + "\n")
		stderr.WriteString("err" + strconv.Itoa(n) + "\n")
	}
	require.Equal(t, stdout.String(), k.text(false))
	require.Equal(t, stderr.String(), k.text(true))

	_, err = f.runner.Attach(t.Context(), f.attachRequest(zero, k.state), plugintest.NewRecorder())
	require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err), "%v", err)
}

// TestAttachToContainerThatHasEnded: its result is known as long as it is there.
func TestAttachToContainerThatHasEnded(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"cmd": "echo begin; until [ -e $TMPDIR/go ]; do sleep 0.05; done; echo end; exit 6"}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	first := plugintest.NewRecorder()
	go func() {
		<-first.HasOutput()
		cancel(pluginapi.ErrHostGone)
	}()
	_, err := f.runner.Run(ctx, f.req, first)
	require.Error(t, err)
	f.letGo(t)
	over, failed := f.api.ContainerWait(t.Context(), name(f.req.RunID, f.req.Labels), container.WaitConditionNotRunning)
	select {
	case <-over:
	case err := <-failed:
		require.NoError(t, err)
	}
	result, err := f.runner.Attach(t.Context(), f.attachRequest(zero, nil), f.out)
	require.NoError(t, err)
	require.Equal(t, exit(6), *result)
	stdout, _, _ := f.out.Text()
	require.Equal(t, "begin\nend\n", stdout)
}
