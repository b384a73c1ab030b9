// Package coretest has what tests of several packages need: a real PostgreSQL with a schema for each test.
package coretest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core/pgserver"
	"github.com/stroem/stroem/core/postgres"
)

// DatabaseURL names a PostgreSQL server to use in place of one started by the tests.
const DatabaseURL = "STROEM_TEST_DATABASE_URL"

// Main runs the tests of a package and stops the database server that they started. Call it from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(coretest.Main(m)) }
func Main(m *testing.M) int {
	defer stop()
	return m.Run()
}

var (
	mu     sync.Mutex
	server *pgserver.Server
	dir    string
	schema atomic.Int64
)

// Postgres returns the connection string of a migrated schema of the test's own, dropped when the test ends. Without a
// PostgreSQL the test is skipped, or fails if STROEM_TEST_REQUIRE names postgres.
func Postgres(t testing.TB) string {
	t.Helper()
	target := EmptySchema(t)
	if err := postgres.Migrate(t.Context(), target); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return target
}

// EmptySchema is like [Postgres] without migrations.
func EmptySchema(t testing.TB) string {
	t.Helper()
	base, err := serverURL(t.Context())
	Started(t, err)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), schema.Add(1))
	execute(t.Context(), t, base, "create schema "+name)
	t.Cleanup(func() { execute(context.WithoutCancel(t.Context()), t, base, "drop schema "+name+" cascade") })
	target, err := url.Parse(base)
	if err != nil {
		t.Fatalf("parse %s: %v", DatabaseURL, err)
	}
	query := target.Query()
	query.Set("search_path", name)
	target.RawQuery = query.Encode()
	return target.String()
}

// Started ends a test that could not start a PostgreSQL: it fails, or is skipped as [Postgres] says if there is none.
func Started(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, pgserver.ErrNotInstalled) && !Required("postgres"):
		t.Skip(err)
	case err != nil:
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

// Required tells whether STROEM_TEST_REQUIRE names a service, which means that a test must fail where it would be
// skipped for want of it.
func Required(service string) bool {
	return slices.Contains(strings.Split(os.Getenv("STROEM_TEST_REQUIRE"), ","), service)
}

func execute(ctx context.Context, t testing.TB, base, sql string) {
	t.Helper()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatalf("connect to the test database: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func serverURL(ctx context.Context) (string, error) {
	if given := os.Getenv(DatabaseURL); given != "" {
		return given, nil
	}
	mu.Lock()
	defer mu.Unlock()
	if server != nil {
		return server.URL(), nil
	}
	var err error
	if dir, err = os.MkdirTemp("", "stroem-test-"); err != nil {
		return "", err
	}
	server, err = pgserver.Start(context.WithoutCancel(ctx), pgserver.Options{Dir: dir, Settings: map[string]string{
		"fsync": "off", "max_connections": "200", "shared_buffers": "128MB",
	}})
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}

func stop() {
	mu.Lock()
	defer mu.Unlock()
	if server != nil {
		server.Stop()
	}
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
}
