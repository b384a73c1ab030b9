package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// passwordFile is beside the data that it opens.
const passwordFile = "password"

// initialise makes the data directory if it is new: out of a seed, if there is one, else by initdb, and then it leaves a
// seed for the next one. It returns the password of the database's user, and whether the data came from a seed.
func initialise(ctx context.Context, bin string, opts Options, seed seed, owner owner) (password string, seeded bool, err error) {
	data := filepath.Join(opts.Dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		if password, err = readPassword(opts.Dir); err != nil {
			return "", false, err
		}
		return password, false, checkVersion(ctx, bin, data)
	}
	if password, ok := seed.unpack(opts.Dir, owner); ok {
		return password, true, nil
	}
	opts.Progress("Preparing a database")
	password = rand.Text()
	file := filepath.Join(opts.Dir, passwordFile)
	if err := owner.writeFile(file, password); err != nil {
		return "", false, err
	}
	args := []string{"-D", data, "-U", database, "--pwfile", file, "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"}
	if seed != "" {
		args = append(args, "--wal-segsize", "1") // of MiB: a small copy
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...) //nolint:gosec // found by us
	cmd.Dir = opts.Dir
	owner.apply(cmd)
	if out, err := cmd.CombinedOutput(); ctx.Err() != nil {
		return "", false, fmt.Errorf("initialise the database: %w", ctx.Err())
	} else if err != nil {
		return "", false, fmt.Errorf("initialise the database in %s: %w\n%s", data, err, bytes.TrimSpace(out))
	}
	seed.pack(opts.Dir)
	return password, false, nil
}

func readPassword(dir string) (string, error) {
	password, err := os.ReadFile(filepath.Join(dir, passwordFile)) //nolint:gosec // beside the data that it opens
	if err != nil {
		return "", fmt.Errorf("read the database's password: %w", err)
	}
	return string(password), nil
}

func checkVersion(ctx context.Context, bin, data string) error {
	stored, err := os.ReadFile(filepath.Join(data, "PG_VERSION")) //nolint:gosec // inside our directory
	if err != nil {
		return fmt.Errorf("read the version of the data: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output() //nolint:gosec // found by us
	if err != nil {
		return fmt.Errorf("ask postgres for its version: %w", err)
	}
	want := strings.TrimSpace(string(stored))
	if fields := strings.Fields(string(out)); len(fields) < 3 || strings.Split(fields[2], ".")[0] != want {
		return fmt.Errorf("the data in %s belongs to PostgreSQL %s, but %s is installed: install %s, or remove the directory to start afresh",
			data, want, strings.TrimSpace(string(out)), want)
	}
	return nil
}
