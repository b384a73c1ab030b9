package auth_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
)

func TestTickets(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	job := uuid.New()
	who, err := r.Authenticate(t.Context(), r.login().Access)
	require.NoError(t, err)
	ticket := func(p auth.Principal) string {
		t.Helper()
		text, err := r.MakeTicket(t.Context(), p, job)
		require.NoError(t, err)
		return text
	}
	refused := func(a *auth.Authenticator, text string, job uuid.UUID, reason string) {
		t.Helper()
		_, err := a.SpendTicket(t.Context(), text, job)
		requireReason(t, err, reason)
		require.Equal(t, core.CodeUnauthenticated, core.ErrorCode(err))
	}

	text := ticket(who)
	var spent atomic.Int32
	var spending sync.WaitGroup
	for i := range 20 {
		spending.Go(func() {
			if p, err := []*auth.Authenticator{r.Authenticator, r.other}[i%2].SpendTicket(t.Context(), text, job); err == nil && p.User.ID == r.ada.ID {
				spent.Add(1)
			}
		})
	}
	spending.Wait()
	require.EqualValues(t, 1, spent.Load(), "once, whoever is asked")
	refused(r.Authenticator, text, job, "ticket_invalid")
	text = ticket(who)
	refused(r.other, text, uuid.New(), "ticket_invalid")
	refused(r.other, text, job, "ticket_invalid")
	refused(r.Authenticator, "", job, "ticket_invalid")

	key, k, err := r.CreateKey(t.Context(), r.ada.ID, "ci", 0)
	require.NoError(t, err)
	byKey, err := r.Authenticate(t.Context(), key)
	require.NoError(t, err)
	text = ticket(byKey)
	p, err := r.other.SpendTicket(t.Context(), text, job)
	require.NoError(t, err)
	require.Equal(t, k.Prefix, p.APIKey)
	text = ticket(byKey)
	require.NoError(t, r.DeleteKeys(t.Context(), r.ada.ID, k.Prefix))
	refused(r.other, text, job, "ticket_invalid")
	_, err = r.Recheck(t.Context(), p)
	requireReason(t, err, "api_key_invalid")

	text = ticket(who)
	_, err = r.Recheck(t.Context(), who)
	require.NoError(t, err)
	_, err = r.SetPassword(t.Context(), r.ada.ID, "another correct horse")
	require.NoError(t, err)
	refused(r.Authenticator, text, job, "token_invalid")
	_, err = r.Recheck(t.Context(), who)
	requireReason(t, err, "token_invalid")
}
