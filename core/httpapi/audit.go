package httpapi

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/workspace"
)

// actor is who makes a request: the user or the worker, by its id, that was let through, or nobody known.
func actor(c *fiber.Ctx) core.Actor {
	if id := caller(c); id != uuid.Nil {
		return core.Actor{Type: core.ActorWorker, Name: id.String()}
	}
	p := user(c)
	switch {
	case p.User.Email == "":
		return core.Actor{Type: core.ActorAnonymous}
	case p.APIKey != "":
		return core.Actor{Type: core.ActorAPIKey, Name: p.User.Email}
	default:
		return actorOf(p.User)
	}
}

func actorOf(u core.User) core.Actor { return core.Actor{Type: core.ActorUser, Name: u.Email} }

// auditEntry is an entry on what a request does. Details are few and flat, and hold nothing that is secret: no input, no
// credential, no part of one.
func (a *API) auditEntry(c *fiber.Ctx, action, target, result string, details map[string]any) core.AuditEntry {
	return core.AuditEntry{
		Actor: actor(c), Action: action, Target: target, Result: result, RemoteAddress: addressText(a.client(c)), RequestID: requestID(c),
		Details: details,
	}
}

// audit adds an entry on what a request did to the audit log. To be called once it is done, with what auditEntry asks of its
// details.
//
// If the entry cannot be written, that is logged, with the entry, and the request goes on: what it is about has happened
// already, and an answer that it has not would have it done again. What must not happen without its entry has the entry in
// its own transaction, as the creation of a job has.
func (a *API) audit(c *fiber.Ctx, action, target, result string, details map[string]any) {
	a.record(requestContext(c), a.auditEntry(c, action, target, result, details))
}

// auditAs is audit of somebody who is known by what they have just shown.
func (a *API) auditAs(c *fiber.Ctx, who core.Actor, action, target, result string, details map[string]any) {
	entry := a.auditEntry(c, action, target, result, details)
	entry.Actor = who
	a.record(requestContext(c), entry)
}

func (a *API) record(ctx context.Context, entry core.AuditEntry) {
	if err := a.Store.RecordAudit(ctx, entry); err != nil {
		entry = entry.Clean()
		a.Logger.ErrorContext(ctx, "an entry is missing in the audit log", slog.String("request_id", entry.RequestID),
			slog.String("actor_type", string(entry.Actor.Type)), slog.String("actor", entry.Actor.Name), slog.String("action", entry.Action),
			slog.String("target", entry.Target), slog.String("result", entry.Result), slog.String("remote_address", entry.RemoteAddress),
			slog.Any("details", entry.Details), slog.Any("error", err))
	}
}

// auditRegistration notes that a worker, which had the shared token, was taken or refused. That the server could not tell is
// in its log alone.
func (a *API) auditRegistration(c *fiber.Ctx, request api.Register, registered api.Registered, err error) {
	entry := a.auditEntry(c, "worker.register", request.Name, core.AuditOK, map[string]any{
		"worker_id": registered.WorkerID, "version": request.Version, "tags": request.Tags,
	})
	if err != nil {
		code, reason, known := reasonOf(err)
		if !known {
			return
		}
		entry.Result, entry.Details = core.AuditFailed, map[string]any{"code": code, "reason": reason}
		if refused(err) {
			entry.Result = core.AuditDenied
		}
	}
	entry.Actor = core.Actor{Type: core.ActorWorker, Name: request.Name}
	a.record(requestContext(c), entry)
}

// auditRefresh notes what came of a look at a workspace's source. The error is the one that everybody is shown.
func (a *API) auditRefresh(c *fiber.Ctx, status workspace.Status, failed error) {
	result, details := core.AuditOK, map[string]any{"revision": status.Revision}
	if failed != nil {
		result, details["error"] = core.AuditFailed, status.Error
	}
	a.audit(c, "workspace.refresh", status.Name, result, details)
}

// refused tells whether credentials or rights were missing.
func refused(err error) bool {
	code := core.ErrorCode(err)
	return code == core.CodeUnauthenticated || code == core.CodeForbidden
}

// reasonOf is what an error tells its caller; known is false for those that are the server's own trouble.
func reasonOf(err error) (code, reason string, known bool) {
	e, ok := errors.AsType[*core.Error](err)
	if !ok || e.Code == core.CodeInternal || e.Code == core.CodeUnavailable {
		return "", "", false
	}
	if e.Reason != "" {
		return e.Reason, e.Message, true
	}
	return string(e.Code), e.Message, true
}
