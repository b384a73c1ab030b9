package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// RecordAudit adds entries to the audit log, cleaned, in their order, in one round trip; all or none.
func (s *Store) RecordAudit(ctx context.Context, entries ...core.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	if err := queueAudit(batch, entries); err != nil {
		return err
	}
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store audit entries: %w", err)
	}
	return nil
}

type auditRecord struct {
	ActorType     core.ActorType `json:"actor_type"`
	Actor         string         `json:"actor"`
	Action        string         `json:"action"`
	Target        string         `json:"target"`
	Result        string         `json:"result"`
	RemoteAddress string         `json:"remote_address"`
	RequestID     string         `json:"request_id"`
	Details       map[string]any `json:"details"`
}

const insertAudit = `
	insert into audit (actor_type, actor, action, target, result, remote_address, request_id, details)
	select actor_type, actor, action, target, result, remote_address, request_id, details
	from json_to_recordset($1::json) as t (actor_type text, actor text, action text, target text, result text,
		remote_address text, request_id text, details jsonb)`

// queueAudit cleans the entries: one that the database refuses would take what is stored with it along.
func queueAudit(batch *pgx.Batch, entries []core.AuditEntry) error {
	records := make([]auditRecord, len(entries))
	for i := range entries {
		e := entries[i].Clean()
		records[i] = auditRecord{e.Actor.Type, e.Actor.Name, e.Action, e.Target, e.Result, e.RemoteAddress, e.RequestID, e.Details}
	}
	document, err := json.Marshal(records)
	if err != nil {
		return fmt.Errorf("encode audit entries: %w", err)
	}
	batch.Queue(insertAudit, string(document))
	return nil
}

// Audit returns the entries that match, newest first, and their number whatever f.Before says, counted up to
// core.CountLimit; one more stands for "more than that".
func (s *Store) Audit(ctx context.Context, f core.AuditFilter) (entries []core.AuditEntry, total int, err error) {
	where, args := auditConditions(f)
	batch := &pgx.Batch{}
	batch.Queue(fmt.Sprintf("select count(*) from (select from audit where %s limit %d) as counted", where, core.CountLimit+1), args...).
		QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	if f.Before != 0 {
		args = append(args, f.Before)
		where += fmt.Sprintf(" and audit_id < $%d", len(args))
	}
	batch.Queue(fmt.Sprintf(`select audit_id, at, actor_type, actor, action, target, result, remote_address, request_id, details
		from audit where %s order by audit_id desc limit %d offset %d`, where, f.Limit, f.Offset), args...).
		Query(func(rows pgx.Rows) (err error) {
			entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e core.AuditEntry, err error) {
				err = row.Scan(&e.ID, &e.At, &e.Actor.Type, &e.Actor.Name, &e.Action, &e.Target, &e.Result, &e.RemoteAddress,
					&e.RequestID, &e.Details)
				return e, err
			})
			return err
		})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("read the audit log: %w", err)
	}
	return entries, total, nil
}

// auditConditions are built from constants and numbered parameters only.
func auditConditions(f core.AuditFilter) (where string, args []any) {
	parts := []string{"true"}
	add := func(condition string, arg any) {
		args = append(args, arg)
		parts = append(parts, strings.ReplaceAll(condition, "$", fmt.Sprintf("$%d", len(args))))
	}
	if f.Actor != "" {
		add("(lower(actor) = lower($) or actor_type = $)", f.Actor)
	}
	switch {
	case strings.HasSuffix(f.Action, "."):
		add("starts_with(action, $)", f.Action)
	case f.Action != "":
		add("action = $", f.Action)
	}
	if f.Target != "" {
		add("target = $", f.Target)
	}
	if len(f.Results) > 0 {
		add("result = any($)", f.Results)
	}
	if !f.Since.IsZero() {
		add("at >= $", f.Since)
	}
	if !f.Until.IsZero() {
		add("at < $", f.Until)
	}
	return strings.Join(parts, " and "), args
}

// RemoveAudit removes up to limit entries from before a time, oldest first, and returns how many.
func (s *Store) RemoveAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.read.Exec(ctx, "delete from audit where audit_id in (select audit_id from audit where at < $1 order by at limit $2)",
		before, limit)
	if err != nil {
		return 0, fmt.Errorf("remove old audit entries: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
