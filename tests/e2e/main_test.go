// Package e2e runs the built programs on a real PostgreSQL: golden scenarios (scenarios/*.yaml with what is expected of
// them in *.json), and what happens when programs are killed.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stroem/stroem/core/coretest"
)

// bin is the directory of the programs under test.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stroem-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = filepath.Join(dir, "bin")
	if err := build(context.Background(), bin); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	return coretest.Main(m)
}

// build compiles the programs as they are released.
func build(ctx context.Context, bin string) error {
	for _, target := range [][2]string{{bin, "../../cmd/..."}, {filepath.Join(bin, "plugins"), "../../plugins/..."}} {
		if err := os.MkdirAll(target[0], 0o755); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", target[0]+"/", target[1])
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", target[1], err)
		}
	}
	return nil
}
