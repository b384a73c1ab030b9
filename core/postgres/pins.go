package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// Pins returns the revisions that unfinished jobs need, of all replicas. A job that follows from another one, such as a
// hook's, is stored with its own pin in the transaction that ends the other.
func (s *Store) Pins(ctx context.Context) ([]core.Pin, error) {
	rows, err := s.read.Query(ctx,
		"select distinct workspace, revision from job where status in ('pending', 'running') and revision is not null")
	if err != nil {
		return nil, fmt.Errorf("find the revisions in use: %w", err)
	}
	pins, err := pgx.CollectRows(rows, pgx.RowToStructByPos[core.Pin])
	if err != nil {
		return nil, fmt.Errorf("find the revisions in use: %w", err)
	}
	return pins, nil
}
