package main

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// TestStopAtAnyTime stops runs while their container is made, filled, started, run and removed: each ends as stopped, or as it
// would have, and nothing is left.
func TestStopAtAnyTime(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeShell, doc{"cmd": "sleep 0.2; exit 3"}, doc{"workspace": []string{workspaceBind, workspaceVolume}[n%2]})
			f.files(t, map[string]string{"file": "text"})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(time.Duration(n)*80*time.Millisecond, func() { cancel(pluginapi.ErrStopped) }).Stop()
			result, err := f.runner.Run(ctx, f.req, f.out)
			if err != nil {
				require.Equal(t, pluginapi.CodeCanceled, pluginapi.CodeOf(err), "%v", err)
				return
			}
			require.Contains(t, []pluginapi.Result{exit(3), signal("SIGTERM")}, *result)
		})
	}
}
