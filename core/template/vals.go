package template

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const valsTimeout = 10 * time.Second

// resolveVals replaces a reference (ref+vault://…) by what the program vals on PATH makes of it. Everything else stays
// as it is. The reference goes through standard input, so that it does not show among the processes.
func resolveVals(r *rendering, in, _ any) (any, error) {
	ref, ok := in.(string)
	if !ok || !strings.HasPrefix(ref, "ref+") {
		return in, nil
	}
	if r.vals++; r.vals > MaxVals {
		return nil, fmt.Errorf("is used more than %d times", MaxVals)
	}
	v, err := evalVals(r.ctx, ref)
	if err != nil {
		return nil, err
	}
	return r.plain(v)
}

func evalVals(ctx context.Context, ref string) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, valsTimeout)
	defer cancel()
	stdin, err := json.Marshal(map[string]string{"_v": ref})
	if err != nil {
		return nil, fmt.Errorf("cannot pass on the reference: %w", err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "vals", "eval", "-f", "-", "-o", "json")
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf(`needs the program "vals" on PATH: %w`, err)
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
	v, ok := answer["_v"]
	if !ok {
		return nil, errors.New(`got an answer from the program vals without "_v"`)
	}
	return v, nil
}
