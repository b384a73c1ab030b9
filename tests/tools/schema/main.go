// Command schema prints the database schema as the migrations leave it, for db/schema.sql. Run it with
// scripts/with-postgres.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/postgres"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	url := os.Getenv(coretest.DatabaseURL)
	if url == "" {
		return fmt.Errorf("%s is not set: run it with scripts/with-postgres", coretest.DatabaseURL)
	}
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	dump, err := exec.CommandContext(ctx, pgDump(), "--schema-only", "--no-owner", "--no-privileges", "--schema=public", url).Output()
	if err != nil {
		return fmt.Errorf("pg_dump: %w", err)
	}
	fmt.Print("-- The schema after all migrations; made by `make generate`.\n")
	blank := true
	for line := range strings.Lines(string(dump)) {
		line = strings.ReplaceAll(line, "public.", "")
		switch {
		case isNoise(line), strings.TrimSpace(line) == "" && blank:
			continue
		}
		blank = strings.TrimSpace(line) == ""
		fmt.Print(line)
	}
	return nil
}

// isNoise are lines that differ between versions of PostgreSQL, or say nothing.
func isNoise(line string) bool {
	for _, prefix := range []string{"--", "SET ", "SELECT pg_catalog", `\`, "CREATE SCHEMA public", "COMMENT ON SCHEMA"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func pgDump() string {
	if path, err := exec.LookPath("pg_dump"); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump") // the pattern is well-formed
	if len(found) == 0 {
		return "pg_dump"
	}
	return found[len(found)-1]
}
