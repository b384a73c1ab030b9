package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/mask"
)

// redactor hides secrets, and references to secrets elsewhere, in what is shown. What is stored of jobs is masked already,
// with what was secret then.
type redactor struct{ masker *mask.Masker }

// redactor is for what is shown of a job.
func (a *API) redactor(ctx context.Context, job *core.Job) *redactor {
	return &redactor{a.Engine.MaskerOf(ctx, job)}
}

// workspaceRedactor is for what is shown of a workspace.
func (a *API) workspaceRedactor(name string) *redactor {
	return &redactor{a.Engine.WorkspaceMasker(name)}
}

// secretReference starts a text that stands for a secret in another place; all of it is hidden.
const secretReference = "ref+"

// harmless tells that a document can be shown as it is.
func (r *redactor) harmless(document []byte) bool {
	return r.masker.Empty() && !bytes.Contains(document, []byte(secretReference))
}

func (r *redactor) text(s string) string {
	if strings.HasPrefix(s, secretReference) {
		return mask.Mark
	}
	return r.masker.String(s)
}

// value hides what is secret in a decoded document, in place as far as it can.
func (r *redactor) value(value any) any {
	value, _ = r.masker.Value(hideReferences(value))
	return value
}

func hideReferences(value any) any {
	switch v := value.(type) {
	case string:
		if strings.HasPrefix(v, secretReference) {
			return mask.Mark
		}
	case map[string]any:
		for key, item := range v {
			v[key] = hideReferences(item)
		}
	case []any:
		for i := range v {
			v[i] = hideReferences(v[i])
		}
	}
	return value
}

// copied is a part of a workspace as it may be shown; the workspace itself stays as it is.
func copied[T any](r *redactor, part T) (shown T, err error) {
	document, err := json.Marshal(part)
	if err != nil {
		return part, fmt.Errorf("encode a definition: %w", err)
	}
	if r.harmless(document) {
		return part, nil
	}
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return part, fmt.Errorf("decode a definition: %w", err)
	}
	if document, err = json.Marshal(r.value(value)); err != nil {
		return part, fmt.Errorf("encode a definition: %w", err)
	}
	if err := json.Unmarshal(document, &shown); err != nil {
		return part, fmt.Errorf("decode a definition: %w", err)
	}
	return shown, nil
}

// field is a declaration of an input as it may be shown: what stands in for a secret one is secret, too.
func (r *redactor) field(f api.InputField) (_ api.InputField, err error) {
	if f.Secret && f.Default != nil {
		f.Default = mask.Mark
		return f, nil
	}
	f.Default, err = copied(r, f.Default)
	return f, err
}

func (r *redactor) triggers(list []api.Trigger) (_ []api.Trigger, err error) {
	for i := range list {
		if list[i].Input, err = copied(r, list[i].Input); err != nil {
			return nil, err
		}
	}
	return list, nil
}
