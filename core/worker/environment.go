package worker

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/pluginapi"
)

// maxInputVariable is the size of an input beyond which it is in the input file alone: the environment is limited.
const maxInputVariable = 64 << 10

// environment is what a step is given besides what its runner adds: the action's env, each input as INPUT_<NAME>, and
// STROEM_* variables. The whole input is in the file that STROEM_INPUT names. What cannot be a variable is told on
// notes.
func environment(step *api.Claim, action *core.Action, scratch string, notes io.Writer) (map[string]string, error) {
	env := maps.Clone(action.Env)
	if env == nil {
		env = map[string]string{}
	}
	var input map[string]any
	if len(step.Input) > 0 {
		if err := json.Unmarshal(step.Input, &input); err != nil {
			return nil, fmt.Errorf("decode the input: %w", err)
		}
	}
	if err := inputVariables(env, input, notes); err != nil {
		return nil, err
	}
	file := filepath.Join(scratch, "input.json")
	if err := os.WriteFile(file, step.Input, 0o600); err != nil {
		return nil, fmt.Errorf("write the input: %w", err)
	}
	env["STROEM_INPUT"] = file
	env["STROEM_SCRATCH"] = scratch
	env["TMPDIR"] = scratch
	env["STROEM_JOB_ID"] = step.JobID
	env["STROEM_STEP_NAME"] = step.StepName
	env["STROEM_WORKSPACE"] = step.Workspace
	return env, nil
}

func inputVariables(env map[string]string, input map[string]any, notes io.Writer) error {
	names := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(input)) {
		name := variableName(key)
		reason := ""
		value, err := variableValue(input[key])
		switch {
		case err != nil:
			return err
		case names[name] != "":
			reason = fmt.Sprintf("input %q has the same variable as %q", key, names[name])
		case len(value) > maxInputVariable:
			reason = fmt.Sprintf("input %q has %d bytes", key, len(value))
		case strings.ContainsRune(value, 0):
			reason = fmt.Sprintf("input %q holds a NUL character", key)
		}
		if reason != "" {
			if _, err := fmt.Fprintf(notes, pluginapi.NotePrefix+"no variable %s: %s; it is in the file $STROEM_INPUT\n", name, reason); err != nil {
				return fmt.Errorf("write a note: %w", err)
			}
			continue
		}
		names[name] = key
		if _, own := env[name]; !own {
			env[name] = value
		}
	}
	return nil
}

// variableName is INPUT_ and the name in upper case, everything but letters and digits as _.
func variableName(input string) string {
	return "INPUT_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, input)
}

// variableValue is a string as it is, and anything else as JSON.
func variableValue(value any) (string, error) {
	if text, ok := value.(string); ok {
		return text, nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encode an input: %w", err)
	}
	return string(data), nil
}
