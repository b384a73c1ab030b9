package workflow_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/workflow"
)

var update = flag.Bool("update", false, "write golden files")

// fixed makes what depends on the time repeatable.
var fixed = workflow.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}

// Every testdata/*.yaml has beside it what is wrong with it, and whether the JSON Schema for editors sees that.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	schema := editorSchema(t)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			ws, diags := workflow.Parse(filepath.Base(name), data, fixed)
			require.Equal(t, diags.Err() == nil, ws != nil)
			var got strings.Builder
			for _, d := range diags {
				got.WriteString(d.String() + "\n")
			}
			got.WriteString("schema: " + verdict(schema, data) + "\n")
			golden(t, strings.TrimSuffix(name, ".yaml")+".txt", got.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(got), 0o600))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func editorSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	document, err := workflow.JSONSchema()
	require.NoError(t, err)
	var schema jsonschema.Schema
	require.NoError(t, json.Unmarshal(document, &schema))
	resolved, err := schema.Resolve(nil)
	require.NoError(t, err)
	return resolved
}

// verdict is what an editor would say.
func verdict(schema *jsonschema.Resolved, data []byte) string {
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		return "cannot read it"
	}
	if schema.Validate(plain(value)) != nil {
		return "refuses"
	}
	return "accepts"
}

// plain makes of a YAML value what JSON would give.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	case map[any]any:
		m := map[string]any{}
		for name, item := range v {
			text, err := yaml.Marshal(name)
			if err == nil {
				m[strings.TrimSpace(string(text))] = plain(item)
			}
		}
		return m
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return value
}

const schemaFile = "../../docs/schema/workflow.schema.json"

func TestSchemaFile(t *testing.T) {
	t.Parallel()
	document, err := workflow.JSONSchema()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(schemaFile), 0o750))
	}
	golden(t, schemaFile, string(document))
}
