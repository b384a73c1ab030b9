package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/seal"
)

// sealingKey returns the key with which secret values are sealed, and makes it at the first start. It is an error if the
// values in the database are sealed with another one.
func (s *Server) sealingKey(ctx context.Context, store *postgres.Store) (*seal.Key, error) {
	var older []*seal.Key
	for i, text := range s.config.Secrets.OldKeys {
		key, err := seal.ParseKey(text.Reveal())
		if err != nil {
			return nil, fmt.Errorf("secrets.old_keys.%d: %w", i, err)
		}
		older = append(older, key)
	}
	recorded, err := store.SealingKey(ctx)
	if err != nil {
		return nil, err
	}
	key, err := s.readKey(older)
	if errors.Is(err, fs.ErrNotExist) {
		if recorded != "" {
			return nil, s.wrongKey(recorded, "there is none in "+s.config.DataDir)
		}
		if key, err = seal.WriteFile(s.config.DataDir, older...); err == nil {
			s.logger.InfoContext(ctx, "made the key for secrets: keep a copy of it", "file", filepath.Join(s.config.DataDir, seal.FileName))
		}
	}
	if err != nil {
		return nil, err
	}
	if recorded != key.ID() && (recorded == "" || slices.Contains(key.OlderIDs(), recorded)) {
		if recorded, err = store.RecordSealingKey(ctx, recorded, key.ID()); err != nil {
			return nil, err
		}
	}
	if recorded != key.ID() {
		return nil, s.wrongKey(recorded, "this server has the key "+key.ID())
	}
	return key, nil
}

func (s *Server) readKey(older []*seal.Key) (*seal.Key, error) {
	if s.config.Secrets.Key == "" {
		return seal.ReadFile(s.config.DataDir, older...)
	}
	key, err := seal.ParseKey(s.config.Secrets.Key.Reveal(), older...)
	if err != nil {
		return nil, fmt.Errorf("secrets.key: %w", err)
	}
	return key, nil
}

// wrongKey says what to do about a key that is not the one that is recorded.
func (s *Server) wrongKey(recorded, have string) error {
	return fmt.Errorf("secrets in the database are sealed with the key %s, and %s: set secrets.key to the content of %s of the server "+
		"that made it, the same for all replicas; a key that is to be replaced goes into secrets.old_keys. If it is lost, "+
		"\"delete from sealing_key\" lets the server start with another one; jobs under way that have secret inputs or outputs then fail",
		recorded, have, seal.FileName)
}
