package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// readLastUses takes one row from an index for each trigger and kind.
const readLastUses = `
	select distinct on (t.name) t.name, u.at, u.job_id, coalesce(u.reason, '')
	from unnest($2::text[]) as t (name), lateral (
		(select fired_at as at, job_id, reason from schedule_fire
			where workspace = $1 and trigger_name = t.name order by scheduled_at desc limit 1)
		union all
		(select at, job_id, reason from webhook_delivery
			where workspace = $1 and trigger_name = t.name order by delivery_id desc limit 1)) u
	order by t.name, u.at desc`

// LastUses returns when triggers were last used, by name; those that never were are absent.
func (s *Store) LastUses(ctx context.Context, workspace string, triggers []string) (map[string]core.TriggerUse, error) {
	rows, err := s.read.Query(ctx, readLastUses, workspace, triggers)
	if err != nil {
		return nil, fmt.Errorf("read the last uses of triggers: %w", err)
	}
	uses := map[string]core.TriggerUse{}
	var name, reason string
	var at time.Time
	var job *uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&name, &at, &job, &reason}, func() error {
		uses[name] = core.TriggerUse{At: at, JobID: value(job), Reason: reason}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the last uses of triggers: %w", err)
	}
	return uses, nil
}
