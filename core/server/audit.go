package server

import (
	"context"
	"os"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/version"
)

// auditStart notes with which version and configuration this server serves from now on.
func (s *Server) auditStart(ctx context.Context, store *postgres.Store) {
	fingerprint, err := s.config.Fingerprint()
	if err != nil {
		s.logger.ErrorContext(ctx, "the audit log will not tell whether the configuration has changed", "error", err)
	}
	s.audit(ctx, store, "server.start", s.address.String(), core.AuditOK, map[string]any{
		"version": version.Version, "config_sha256": fingerprint,
	})
}

// auditLoad notes which revision of a workspace this replica has loaded, or why it could not. The reason is the one that
// everybody is shown.
func (s *Server) auditLoad(ctx context.Context, store *postgres.Store, workspace, revision string, err error) {
	result, details := core.AuditOK, map[string]any{"revision": revision}
	if err != nil {
		result, details["error"] = core.AuditFailed, err.Error()
	}
	s.audit(ctx, store, "workspace.load", workspace, result, details)
}

// audit adds an entry of the server's own, which is named by its host, to the audit log. What the entry is about has happened:
// if it cannot be written, that is logged and everything goes on.
func (s *Server) audit(ctx context.Context, store *postgres.Store, action, target, result string, details map[string]any) {
	host, _ := os.Hostname() // "" will do
	entry := core.AuditEntry{
		Actor: core.Actor{Type: core.ActorSystem, Name: host}, Action: action, Target: target, Result: result, Details: details,
	}
	if err := store.RecordAudit(context.WithoutCancel(ctx), entry); err != nil {
		s.logger.ErrorContext(ctx, "an entry is missing in the audit log", "action", action, "target", target, "result", result,
			"details", entry.Clean().Details, "error", err)
	}
}
