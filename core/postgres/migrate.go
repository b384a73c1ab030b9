package postgres

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	_ "github.com/amacneil/dbmate/v2/pkg/driver/postgres" // registers the driver with dbmate
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/db"
)

// Migrate brings the database at rawURL to the newest schema. Servers that start together wait for each other.
func Migrate(ctx context.Context, rawURL string) error {
	return withMigrator(ctx, rawURL, func(m *dbmate.DB) error { return m.Migrate() })
}

// Rollback undoes the newest migration.
func Rollback(ctx context.Context, rawURL string) error {
	return withMigrator(ctx, rawURL, func(m *dbmate.DB) error { return m.Rollback() })
}

func withMigrator(ctx context.Context, rawURL string, run func(*dbmate.DB) error) (err error) {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", redactURL(err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = defaultTimeout
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", redactURL(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "select pg_advisory_lock("+migrationLock+")"); err != nil {
		return fmt.Errorf("take the migration lock: %w", err)
	}
	target, err := dbmateURL(ctx, conn, rawURL)
	if err != nil {
		return err
	}
	m := dbmate.New(target)
	m.FS, m.MigrationsDir, m.AutoDumpSchema, m.Log = db.Migrations, []string{"migrations"}, false, io.Discard
	if err := run(m); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// dbmateURL is rawURL as dbmate's driver, lib/pq, needs it: without the options of pgx's pool, and with the choice of
// TLS that pgx negotiated, because lib/pq does not negotiate.
func dbmateURL(ctx context.Context, conn *pgx.Conn, rawURL string) (*url.URL, error) {
	target, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("parse db.url: it has to look like postgres://user:password@host:5432/name")
	}
	query := target.Query()
	for key := range query {
		if strings.HasPrefix(key, "pool_") {
			query.Del(key)
		}
	}
	if mode := query.Get("sslmode"); mode == "" || mode == "prefer" || mode == "allow" {
		var encrypted bool
		if err := conn.QueryRow(ctx, "select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false)").
			Scan(&encrypted); err != nil {
			return nil, fmt.Errorf("ask for the connection's encryption: %w", err)
		}
		query.Set("sslmode", map[bool]string{true: "require", false: "disable"}[encrypted])
	}
	target.RawQuery = query.Encode()
	return target, nil
}
