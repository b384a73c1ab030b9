package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// ErrNotInstalled says that there is no PostgreSQL and none could be downloaded.
var ErrNotInstalled = errors.New("PostgreSQL is not installed: install the package postgresql (Debian, Ubuntu: apt install postgresql; macOS: brew install postgresql)")

// findBinaries returns the directory of initdb and postgres: from PATH, else the newest of the distribution's, else
// from a download kept in dir, which progress is told of.
func findBinaries(dir string, progress func(string)) (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if program, err := filepath.EvalSymlinks(path); err == nil && isFile(filepath.Join(filepath.Dir(program), "postgres")) {
			return filepath.Dir(program), nil
		}
	}
	var found []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the pattern is well-formed
		for _, m := range matches {
			if isFile(filepath.Join(m, "initdb")) && isFile(filepath.Join(m, "postgres")) {
				found = append(found, m)
			}
		}
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) }), nil
	}
	return download(dir, progress)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// majorVersion is the number in the last part but one of a path like /usr/lib/postgresql/15/bin.
func majorVersion(bin string) int {
	n, _ := strconv.Atoi(strings.TrimLeft(filepath.Base(filepath.Dir(bin)), "abcdefghijklmnopqrstuvwxyz-@"))
	return n
}

// download lets the embedded-postgres library fetch and unpack its binaries, by starting and stopping a server of its
// own. Root cannot do that: initdb refuses.
func download(dir string, progress func(string)) (string, error) {
	runtime := filepath.Join(dir, "postgres")
	bin := filepath.Join(runtime, "bin")
	if isFile(filepath.Join(bin, "postgres")) {
		return bin, nil
	}
	if os.Getuid() == 0 {
		return "", ErrNotInstalled
	}
	progress("PostgreSQL is not installed: downloading it, once")
	scratch, err := os.MkdirTemp("", "stroem-postgres-")
	if err != nil {
		return "", fmt.Errorf("create a scratch directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	db := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		BinariesPath(runtime).RuntimePath(filepath.Join(scratch, "run")).DataPath(filepath.Join(scratch, "data")).Port(54329))
	if err := db.Start(); err != nil {
		return "", fmt.Errorf("%w; downloading it failed too: %w", ErrNotInstalled, err)
	}
	if err := db.Stop(); err != nil {
		return "", fmt.Errorf("stop the downloaded PostgreSQL: %w", err)
	}
	return bin, nil
}
