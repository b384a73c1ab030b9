package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stroem/stroem/db"
)

// undefinedTable is PostgreSQL's code for a table that is not there.
const undefinedTable = "42P01"

// Pending returns the names of the migrations that a database lacks, oldest first: all of them if nobody has ever migrated it.
func (s *Store) Pending(ctx context.Context) ([]string, error) {
	rows, err := s.read.Query(ctx, "select version from schema_migrations")
	var done []string
	if err == nil {
		done, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if absent, ok := errors.AsType[*pgconn.PgError](err); ok && absent.Code == undefinedTable {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the migrations of the database: %w", err)
	}
	applied := make(map[string]bool, len(done))
	for _, version := range done {
		applied[version] = true
	}
	files, err := fs.Glob(db.Migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var pending []string
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql")
		if version, _, _ := strings.Cut(name, "_"); !applied[version] {
			pending = append(pending, name)
		}
	}
	return pending, nil
}
