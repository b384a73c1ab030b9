package auth_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
)

// How long a refused login takes does not tell whether there is such a user, or whether they have a password. The fastest of
// many counts: whatever else the machine does only makes one slower.
func TestRefusedLoginsTakeTheSameTime(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	_, err := r.Create(t.Context(), auth.NewUser{Email: "sso@example.org", Role: core.RoleViewer})
	require.NoError(t, err)
	emails := []string{r.ada.Email, "nobody@example.org", "sso@example.org"}
	took := make([][]time.Duration, len(emails))
	for range 25 {
		for i, email := range emails { // in turn, so that a slow moment is everybody's
			begin := time.Now()
			_, err := r.Login(t.Context(), email, "wrong horse")
			took[i] = append(took[i], time.Since(begin))
			requireReason(t, err, "login_failed")
		}
	}
	known := slices.Min(took[0])
	for i, email := range emails[1:] {
		ratio := float64(slices.Min(took[i+1])) / float64(known)
		require.InDelta(t, 1, ratio, 0.25, "%s: %v, a known user with a wrong password: %v", email, slices.Min(took[i+1]), known)
	}
}
