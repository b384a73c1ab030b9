package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPatienceEnds has a pod's problem come and go: that does not make its time any longer.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	f := &follower{patience: newPatience(time.Minute)}
	defer f.patience.stop()
	begin := f.patience.since.Add(-50 * time.Second)
	f.patience.since = begin
	for range 3 {
		for _, problem := range []problem{seldom, mayMend} {
			require.NoError(t, f.patience.consider(f, &verdict{problem: problem}))
			require.Equal(t, begin.Add(time.Minute), f.patience.deadline())
		}
	}
	require.NoError(t, f.patience.consider(f, &verdict{active: true}))
	require.True(t, f.patience.deadline().After(begin.Add(time.Minute)), "what runs is waited for")
	require.NoError(t, f.patience.consider(f, &verdict{problem: seldom}))
	require.WithinDuration(t, time.Now().Add(configLimit), f.patience.deadline(), 20*time.Second)
	require.ErrorContains(t, f.patience.consider(f, &verdict{problem: neverWill, waiting: "why"}), "cannot start: why")
}
