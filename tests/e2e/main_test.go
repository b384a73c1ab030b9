// Package e2e runs the built programs on a real PostgreSQL: golden scenarios (scenarios/*.yaml with what is expected of
// them in *.json), and what happens when programs are killed.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
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
	for _, target := range [][2]string{
		{bin, "../../cmd/..."}, {filepath.Join(bin, "plugins"), "../../plugins/..."}, {filepath.Join(bin, "test-plugins"), "./plugins/..."},
	} {
		if err := os.MkdirAll(target[0], 0o755); err != nil {
			return err
		}
		if err := compile(ctx, target[0]+"/", target[1]); err != nil {
			return err
		}
	}
	return nil
}

// failpoints compiles the server with failpoints, for the tests that kill it at one, and returns the program's name.
var failpoints = sync.OnceValues(func() (string, error) {
	const program = "stroem-server-failpoints"
	return program, compile(context.Background(), filepath.Join(bin, program), "../../cmd/stroem-server", "-tags", "failpoints")
})

func compile(ctx context.Context, output, target string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-trimpath"}, flags, []string{"-o", output, target})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}
