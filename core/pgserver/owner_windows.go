package pgserver

import (
	"fmt"
	"os"
	"os/exec"
)

// owner is the user that the server runs as: on Windows always ourselves.
type owner struct{}

func ownerFor(dir string) (owner, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return owner{}, fmt.Errorf("create the database's directory: %w", err)
	}
	return owner{}, nil
}

func (owner) ownAll(string) error { return nil }

func (owner) apply(*exec.Cmd) {}

func (owner) writeFile(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("store the database's password: %w", err)
	}
	return nil
}
