package postgres

import (
	"context"

	"github.com/google/uuid"
)

// JobScope is a placeholder until the real one is merged.
func (s *Store) JobScope(ctx context.Context, id uuid.UUID) (workspace, task string, err error) {
	err = s.read.QueryRow(ctx, "select workspace, task_name from job where job_id = $1", id).Scan(&workspace, &task)
	return workspace, task, notFound(err, "Job not found")
}
