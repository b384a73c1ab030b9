package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// JobSecrets returns what it takes to know the secrets of a job.
func (s *Store) JobSecrets(ctx context.Context, id uuid.UUID) (core.JobSecrets, error) {
	var secrets core.JobSecrets
	err := s.read.QueryRow(ctx, "select workspace, mask_sealed from job where job_id = $1", id).Scan(&secrets.Workspace, &secrets.MaskSealed)
	if err != nil {
		return core.JobSecrets{}, notFound(fmt.Errorf("load the secrets of a job: %w", err), "Job not found")
	}
	return secrets, nil
}

// AddJobSecrets notes that there is more in a job that is secret.
func (s *Store) AddJobSecrets(ctx context.Context, id uuid.UUID, sealed []byte) error {
	_, err := s.hot.Exec(ctx, "update job set mask_sealed = array_append(mask_sealed, $2) where job_id = $1", id, sealed)
	if err != nil {
		return fmt.Errorf("store the secrets of a job: %w", err)
	}
	return nil
}

// SealingKey returns the id of the key with which this database's values are sealed, "" if none was recorded.
func (s *Store) SealingKey(ctx context.Context) (id string, err error) {
	err = s.read.QueryRow(ctx, "select coalesce((select key_id from sealing_key), '')").Scan(&id)
	if err != nil {
		return "", fmt.Errorf("look up the sealing key: %w", err)
	}
	return id, nil
}

// RecordSealingKey records the id of the key that is used from now on, unless another one than was seen has been recorded
// meanwhile, and returns the id that is recorded now.
func (s *Store) RecordSealingKey(ctx context.Context, seen, id string) (recorded string, err error) {
	_, err = s.read.Exec(ctx, `insert into sealing_key (key_id) values ($2)
		on conflict (only_row) do update set key_id = $2, recorded_at = now() where sealing_key.key_id = $1`, seen, id)
	if err != nil {
		return "", fmt.Errorf("record the sealing key: %w", err)
	}
	return s.SealingKey(ctx)
}
