package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stroem/stroem/pluginapi"
)

// openFile runs git-upload-pack on a repository of this machine. It sees no configuration but the repository's own.
func openFile(ctx context.Context, w *workspace) (session, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodePrecondition, "file:// URLs need the git program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	path := filepath.FromSlash(w.remote.path)                                 // absolute, so never an option
	cmd := exec.CommandContext(ctx, git, "upload-pack", "--timeout=60", path) //nolint:gosec // the operator allows it
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
	p := &piped{wait: cmd.Wait, done: func() { cancel(); _ = cmd.Wait() }}
	cmd.Stderr = &p.said
	if p.in, err = cmd.StdinPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("start git: %w", err)
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("start git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start git: %w", err)
	}
	return p, nil
}
