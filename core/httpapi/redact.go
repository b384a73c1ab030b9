package httpapi

import (
	"bytes"
	"strings"

	"github.com/stroem/stroem/core/joblog"
)

// redactor hides the values of a workspace's secrets, and references to secrets elsewhere, in what is shown.
type redactor struct{ masker *joblog.Masker }

func (a *API) redactor(workspace string) *redactor {
	ws, _, err := a.Workspaces.Workspace(workspace)
	if err != nil { // gone: so are its secrets
		return &redactor{joblog.NewMasker(nil)}
	}
	return &redactor{joblog.NewMasker(leaves(ws.Secrets))}
}

// secretReference starts a text that stands for a secret in another place; all of it is hidden.
const secretReference = "ref+"

func leaves(secrets any) []string {
	var values []string
	switch v := secrets.(type) {
	case string:
		values = append(values, v)
	case map[string]any:
		for _, item := range v {
			values = append(values, leaves(item)...)
		}
	case []any:
		for _, item := range v {
			values = append(values, leaves(item)...)
		}
	}
	return values
}

// harmless tells that a document can be shown as it is.
func (r *redactor) harmless(document []byte) bool {
	return r.masker.Empty() && !bytes.Contains(document, []byte(secretReference))
}

func (r *redactor) text(s string) string {
	if strings.HasPrefix(s, secretReference) {
		return joblog.Mark
	}
	return r.masker.String(s)
}

func (r *redactor) value(value any) any {
	switch v := value.(type) {
	case string:
		return r.text(v)
	case map[string]any:
		for key, item := range v {
			v[key] = r.value(item)
		}
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	}
	return value
}
