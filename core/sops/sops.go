// Package sops opens encrypted YAML files with the program sops.
package sops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Timeout bounds one call of the program.
const Timeout = 10 * time.Second

// ErrNotInstalled is that there is no program sops on PATH.
var ErrNotInstalled = errors.New("the program sops is not installed here")

// Decrypt returns the plain text of an encrypted YAML file. The error says what sops says, which never is plain text.
func Decrypt(ctx context.Context, encrypted []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "sops", "--input-type", "yaml", "--output-type", "yaml", "-d", "/dev/stdin")
	cmd.WaitDelay = time.Second // an agent that it has started may hold the pipes
	cmd.Stdin = bytes.NewReader(encrypted)
	cmd.Stderr = &stderr
	plain, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, ErrNotInstalled
	case ctx.Err() != nil:
		return nil, fmt.Errorf("got no answer: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("%w (%s)", err, lastWords(stderr.String()))
	}
	return plain, nil
}

// lastWords is the end of what a program says about its failure, as one line.
func lastWords(text string) string {
	words := []rune(strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "\uFFFD"))
	const limit = 300
	if len(words) <= limit {
		return string(words)
	}
	return "…" + string(words[len(words)-limit:])
}
