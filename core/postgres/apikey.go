package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// CreateAPIKey stores a key, given as its hash.
func (s *Store) CreateAPIKey(ctx context.Context, k core.APIKey, hash []byte) error {
	_, err := s.read.Exec(ctx, "insert into api_key (hash, prefix, name, user_id, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
		hash, k.Prefix, k.Name, k.User, k.CreatedAt, optional(k.ExpiresAt))
	if err != nil {
		return fmt.Errorf("store an API key: %w", err)
	}
	return nil
}

const keyColumns = "k.prefix, k.name, k.user_id, k.created_at, k.expires_at, k.last_used_at"

// APIKey returns the key with a hash and its user, or an error with core.CodeNotFound.
func (s *Store) APIKey(ctx context.Context, hash []byte) (k core.APIKey, u core.User, err error) {
	var expires, used *time.Time
	u, err = scanUserAnd(s.read.QueryRow(ctx, "select "+userColumns+", "+keyColumns+" from api_key k join app_user u using (user_id) where k.hash = $1", hash),
		&k.Prefix, &k.Name, &k.User, &k.CreatedAt, &expires, &used)
	k.ExpiresAt, k.LastUsedAt = value(expires), value(used)
	return k, u, notFound(err, "API key not found")
}

// APIKeys returns a user's keys, newest first.
func (s *Store) APIKeys(ctx context.Context, user uuid.UUID) ([]core.APIKey, error) {
	rows, _ := s.read.Query(ctx, "select "+keyColumns+" from api_key k where k.user_id = $1 order by k.created_at desc, k.prefix", user)
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k core.APIKey, err error) {
		var expires, used *time.Time
		err = row.Scan(&k.Prefix, &k.Name, &k.User, &k.CreatedAt, &expires, &used)
		k.ExpiresAt, k.LastUsedAt = value(expires), value(used)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return keys, nil
}

// DeleteAPIKeys removes all keys of a user with a prefix and returns how many those were.
func (s *Store) DeleteAPIKeys(ctx context.Context, user uuid.UUID, prefix string) (int, error) {
	tag, err := s.read.Exec(ctx, "delete from api_key where user_id = $1 and prefix = $2", user, prefix)
	if err != nil {
		return 0, fmt.Errorf("delete API keys: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// NoteKeysUsed notes when keys, given as their hashes, were last used. Earlier times than are known change nothing.
func (s *Store) NoteKeysUsed(ctx context.Context, used map[string]time.Time) error {
	hashes, times := make([][]byte, 0, len(used)), make([]time.Time, 0, len(used))
	for hash, at := range used {
		hashes, times = append(hashes, []byte(hash)), append(times, at)
	}
	_, err := s.read.Exec(ctx, `update api_key k set last_used_at = t.at from unnest($1::bytea[], $2::timestamptz[]) as t (hash, at)
		where k.hash = t.hash and (k.last_used_at is null or k.last_used_at < t.at)`, hashes, times)
	if err != nil {
		return fmt.Errorf("note the use of API keys: %w", err)
	}
	return nil
}
