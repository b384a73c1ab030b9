package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/stroem/stroem/core"
)

// stepIDBlock is how many ids one value of the sequence stands for.
const stepIDBlock = 256

// stepIDs hands out step ids from blocks reserved in the database, so that most jobs need no round trip for theirs.
type stepIDs struct {
	mu         sync.Mutex
	next, left int64
}

// StepIDs reserves n ascending ids. Ids that are not used are lost, which is harmless.
func (s *Store) StepIDs(ctx context.Context, n int) ([]core.StepID, error) {
	s.ids.mu.Lock()
	defer s.ids.mu.Unlock()
	ids := make([]core.StepID, 0, n)
	for len(ids) < n {
		if s.ids.left == 0 {
			blocks := (n - len(ids) + stepIDBlock - 1) / stepIDBlock
			if err := s.reserve(ctx, blocks, &ids, n); err != nil {
				return nil, err
			}
			continue
		}
		ids = append(ids, core.StepID(s.ids.next))
		s.ids.next++
		s.ids.left--
	}
	return ids, nil
}

// reserve takes blocks from the sequence; all but the last are used up at once.
func (s *Store) reserve(ctx context.Context, blocks int, ids *[]core.StepID, n int) error {
	rows, err := s.read.Query(ctx, "select nextval('job_step_block') from generate_series(1, $1)", blocks)
	if err != nil {
		return fmt.Errorf("reserve step ids: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var block int64
		if err := rows.Scan(&block); err != nil {
			return fmt.Errorf("reserve step ids: %w", err)
		}
		s.ids.next, s.ids.left = block*stepIDBlock, stepIDBlock
		for s.ids.left > 0 && len(*ids) < n {
			*ids = append(*ids, core.StepID(s.ids.next))
			s.ids.next++
			s.ids.left--
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reserve step ids: %w", err)
	}
	return nil
}
