package auth

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// TicketLife is how long a ticket is good.
const TicketLife = 30 * time.Second

var errTicket = core.Errorf(core.CodeUnauthenticated, "ticket_invalid", "Invalid or expired ticket")

// MakeTicket makes a ticket with which the log stream of a job can be opened once as p; whether p may see the job is for the
// caller to say, now and when the ticket is spent.
func (a *Authenticator) MakeTicket(ctx context.Context, p Principal, job uuid.UUID) (string, error) {
	text := newTicket()
	t := core.Ticket{Job: job, User: p.User.ID, Epoch: p.User.Epoch}
	if p.keyHash != "" {
		t.Key = []byte(p.keyHash)
	}
	return text, a.store.CreateTicket(ctx, t, hashToken(text), TicketLife)
}

// SpendTicket returns who made a ticket for a job, if they would still be let in. Whatever comes of it, the ticket is spent. The
// error has core.CodeUnauthenticated, or is the store's.
func (a *Authenticator) SpendTicket(ctx context.Context, text string, job uuid.UUID) (Principal, error) {
	t, err := a.store.TakeTicket(ctx, hashToken(text))
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return Principal{}, errTicket
	case err != nil:
		return Principal{}, err
	case t.Job != job:
		return Principal{}, errTicket
	}
	return a.Recheck(ctx, Principal{User: core.User{ID: t.User, Epoch: t.Epoch}, keyHash: string(t.Key)})
}

// Recheck returns who somebody is now that was let in before; that their access token has run out since does not matter. As with
// [Authenticator.Authenticate], it takes up to [cacheTime] until a change elsewhere is noticed.
func (a *Authenticator) Recheck(ctx context.Context, p Principal) (Principal, error) {
	if p.keyHash != "" {
		return a.byKeyHash(ctx, p.keyHash)
	}
	return a.inEpoch(ctx, p.User.ID, p.User.Epoch)
}
