package plugintest

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Build compiles the main package (a path as for go build) into the directory dir and returns the path of the executable.
func Build(ctx context.Context, dir, pkg string) (string, error) {
	path := filepath.Join(dir, "plugin")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{output: string(out), err: err}
	}
	return path, nil
}

type buildError struct {
	output string
	err    error
}

func (e *buildError) Error() string { return "build plugin: " + e.err.Error() + "\n" + e.output }
func (e *buildError) Unwrap() error { return e.err }
