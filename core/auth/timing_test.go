package auth_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
)

// How long a refused login takes does not tell whether there is such a user, or whether they have a password. The fastest of
// many counts: whatever else the machine does only makes one slower. A difference that is not noise does not go away with more.
func TestRefusedLoginsTakeTheSameTime(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	_, err := r.Create(t.Context(), auth.NewUser{Email: "sso@example.org", Role: core.RoleViewer})
	require.NoError(t, err)
	const few, many, noise = 20, 400, 0.15
	emails := []string{r.ada.Email, "nobody@example.org", "sso@example.org"}
	fastest := make([]time.Duration, len(emails))
	ratio := func(i int) float64 { return float64(fastest[i]) / float64(fastest[0]) }
	for n := range many {
		for i, email := range emails { // in turn, so that a slow moment is everybody's
			begin := time.Now()
			_, err := r.Login(t.Context(), email, "wrong horse")
			if took := time.Since(begin); n == 0 || took < fastest[i] {
				fastest[i] = took
			}
			requireReason(t, err, "login_failed")
		}
		if n >= few && math.Abs(ratio(1)-1) < noise && math.Abs(ratio(2)-1) < noise {
			return
		}
	}
	require.Fail(t, "refused logins differ", "%v: %v", emails, fastest)
}
