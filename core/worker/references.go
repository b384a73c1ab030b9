package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/vals"
)

// actionOf reads the action of a step, and replaces the references to secrets in other places (ref+…) in its env, all in
// one call of vals. What they stand for is secret, and is returned. A step that is taken up again has no action.
func actionOf(ctx context.Context, spec json.RawMessage) (action core.Action, secrets []string, err error) {
	if len(spec) == 0 {
		return action, nil, nil
	}
	if err := json.Unmarshal(spec, &action); err != nil {
		return action, nil, fmt.Errorf("decode the action: %w", err)
	}
	references := map[string]string{}
	for name, value := range action.Env {
		if vals.IsReference(value) {
			references[name] = value
		}
	}
	found, err := vals.Resolve(ctx, references)
	if err != nil {
		return action, nil, fmt.Errorf("resolve the references in env with vals: it %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(references)) {
		if action.Env[name], err = variableValue(found[name]); err != nil {
			return action, nil, err
		}
		secrets = append(secrets, mask.Values(found[name])...)
	}
	return action, secrets, nil
}
