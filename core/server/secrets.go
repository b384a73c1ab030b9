package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stroem/stroem/core/sops"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/vals"
)

// renderLimit bounds how long the secrets of a workspace may take.
const renderLimit = 30 * time.Second

// renderSecrets renders templates in a workspace's secrets. They can name env.<NAME> for the names that the
// configuration allows, and nothing else. Values that are then references to other places (ref+…) are resolved in one
// call of vals; where that is not installed they stay as they are, and workers resolve those in an env.
func (s *Server) renderSecrets(secrets map[string]any) (map[string]any, error) {
	env := map[string]any{}
	for _, name := range s.config.Secrets.Env {
		if value, set := os.LookupEnv(name); set {
			env[name] = value
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), renderLimit)
	defer cancel()
	rendered := make(map[string]any, len(secrets))
	for _, key := range slices.Sorted(maps.Keys(secrets)) {
		value, err := template.RenderValue(ctx, secrets[key], template.Context{"env": env})
		if failed, ok := errors.AsType[*template.Error](err); ok {
			if failed.Path != "" && failed.Path[0] != '[' {
				key += "."
			}
			failed.Path = key + failed.Path
			return nil, failed
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		rendered[key] = value
	}
	return s.resolve(ctx, rendered)
}

// resolve replaces references at any depth by what they stand for.
func (s *Server) resolve(ctx context.Context, secrets map[string]any) (map[string]any, error) {
	var names []string
	references := map[string]string{}
	eachReference("", secrets, func(path, reference string) any {
		references[fmt.Sprintf("r%d", len(names))] = reference
		names = append(names, path)
		return reference
	})
	found, err := vals.Resolve(ctx, references)
	if errors.Is(err, vals.ErrNotInstalled) {
		s.logger.WarnContext(ctx, "secrets are references, and vals is not installed on the server", "secrets", names)
		return secrets, nil
	}
	if err != nil {
		return nil, &template.Error{
			Path: names[0], Line: 1, Column: 1, Err: err, Message: fmt.Sprintf("vals, for %s, %s", strings.Join(names, ", "), err),
		}
	}
	n := 0
	resolved, _ := eachReference("", secrets, func(string, string) any {
		n++
		return found[fmt.Sprintf("r%d", n-1)]
	}).(map[string]any)
	return resolved, nil
}

// eachReference returns a copy of a value in which its references, visited always in the same order, are replaced.
func eachReference(path string, value any, visit func(path, reference string) any) any {
	switch v := value.(type) {
	case string:
		if vals.IsReference(v) {
			return visit(path, v)
		}
	case map[string]any:
		copied := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			copied[key] = eachReference(strings.TrimPrefix(path+"."+key, "."), v[key], visit)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, item := range v {
			copied[i] = eachReference(fmt.Sprintf("%s[%d]", path, i), item, visit)
		}
		return copied
	}
	return value
}

// decrypt opens a *.sops.yaml file with the sops program.
func decrypt(_ string, data []byte) ([]byte, error) {
	return sops.Decrypt(context.Background(), data)
}
