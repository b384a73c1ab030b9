package engine

import (
	"errors"
	"maps"
	"slices"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/mask"
)

// secretFields are the names of the inputs that are declared as secret.
func secretFields(fields map[string]core.InputField) []string {
	var names []string
	for name, field := range fields {
		if field.Secret {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fieldValues are the values of inputs that are declared as secret.
func fieldValues(names []string, input map[string]any) []string {
	var values []string
	for _, name := range names {
		values = append(values, mask.Values(input[name])...)
	}
	return values
}

// withoutMarks leaves out the secret inputs that are given as they are shown: whoever sends back what was shown to them
// gives no new value.
func withoutMarks(fields map[string]core.InputField, given map[string]any) map[string]any {
	names := secretFields(fields)
	if !slices.ContainsFunc(names, func(name string) bool { return given[name] == mask.Mark }) {
		return given
	}
	cleaned := maps.Clone(given)
	for _, name := range names {
		if cleaned[name] == mask.Mark {
			delete(cleaned, name)
		}
	}
	return cleaned
}

// maskError is an error for the caller without secrets.
func maskError(masker *mask.Masker, err error) error {
	told, ok := errors.AsType[*core.Error](err)
	if !ok || masker.Empty() {
		return err
	}
	shown := *told
	shown.Message = masker.String(told.Message)
	return &shown
}
