package engine

import (
	"context"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// renew lets a worker go on under another token of the configuration than it registered with: it stays the same worker, and
// keeps its own token, its steps and their leases. It is admitted already; own has to be its own token.
func (e *Engine) renew(ctx context.Context, w core.Worker, types []core.ActionType, own string) (api.Registered, error) {
	stored, superseded, err := e.store.WorkerByToken(ctx, hashToken(own))
	switch {
	case core.ErrorCode(err) == core.CodeNotFound, err == nil && stored.Name != w.Name:
		return api.Registered{}, errWorkerUnknown
	case err != nil:
		return api.Registered{}, err
	case !stored.RevokedAt.IsZero():
		return api.Registered{}, core.ErrWorkerRevoked
	case superseded:
		return api.Registered{}, errSuperseded
	}
	w.ID = stored.ID
	if err := e.store.UpdateWorker(ctx, w, types); err != nil {
		return api.Registered{}, err
	}
	e.workers.forget(w.ID)
	e.logger.InfoContext(ctx, "worker goes on under another token", "worker", w.ID, "name", w.Name, "token", w.Token)
	return e.registered(w.ID, own), nil
}
