//go:build unix

package pluginhost_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
)

// TestKillEndsRuns shows that runs end with their plugin, without being asked to.
func TestKillEndsRuns(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	step := s.run(t.Context(), "hold")
	pid := step.pid()
	s.host.Kill()
	_, err := step.wait()
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	requireGone(t, pid)
	requireClosed(t, s.close(t.Context()))
	s.host.Kill() // nothing is left to be killed
}
