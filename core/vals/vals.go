// Package vals resolves references to secrets in other places, such as ref+vault://secret/db#password, with the program vals.
package vals

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"
)

// Timeout bounds one call of the program, whatever the number of references.
const Timeout = 10 * time.Second

// Prefix starts a reference.
const Prefix = "ref+"

// IsReference tells whether a text stands for a secret in another place.
func IsReference(text string) bool { return strings.HasPrefix(text, Prefix) }

// ErrNotInstalled is that there is no program vals on PATH.
var ErrNotInstalled = errors.New(`needs the program "vals" on PATH`)

// Resolve asks for all references in one call and returns what they stand for, by the same keys: a string, or a
// json.Number or another value where the place has one. The references go through standard input, so that they do not
// show among the processes. The error is ErrNotInstalled, or names no value.
func Resolve(ctx context.Context, references map[string]string) (map[string]any, error) {
	if len(references) == 0 {
		return map[string]any{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	stdin, err := json.Marshal(references)
	if err != nil {
		return nil, fmt.Errorf("cannot pass on the references: %w", err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "vals", "eval", "-f", "-", "-o", "json")
	cmd.WaitDelay = time.Second // its own children may hold the pipes
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("got no answer from the program vals: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("failed: %w (%s)", err, shorten(stderr.String()))
	}
	var answer map[string]any
	decoder := json.NewDecoder(bytes.NewReader(stdout))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		return nil, errors.New("got an answer from the program vals that is no JSON object")
	}
	for key := range references {
		if _, ok := answer[key]; !ok {
			return nil, fmt.Errorf("got an answer from the program vals without %q", key)
		}
	}
	return answer, nil
}

// shorten makes one line of what a program says about its failure.
func shorten(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "\uFFFD")
	const limit = 200
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}
