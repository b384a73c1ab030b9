package pluginhost

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

const testSpecSchema = `{
	"type": "object", "required": ["url"], "additionalProperties": false,
	"properties": {
		"url": {"type": "string"},
		"retries": {"type": "integer", "minimum": 0},
		"ratio": {"type": "number"},
		"follow": {"type": ["boolean", "null"]},
		"codes": {"type": "array", "items": {"type": "integer"}},
		"labels": {"type": "object", "additionalProperties": {"type": "string"}},
		"either": {"type": ["integer", "string"]},
		"nested": {"type": "object", "properties": {"deep": {"type": "boolean"}}},
		"free": {}
	}
}`

func conforming(t *testing.T, schema string) *specSchema {
	t.Helper()
	resolved, err := checkActionType(pluginapi.ActionType{Name: "t", Tag: "t", SpecSchema: json.RawMessage(schema)})
	require.NoError(t, err)
	return &specSchema{resolved, json.RawMessage(schema)}
}

func TestSpecsBecomeWhatTheSchemaAsksFor(t *testing.T) {
	t.Parallel()
	schema := conforming(t, testSpecSchema)
	for given, want := range map[string]string{
		`{"url": "x"}`: `{"url": "x"}`,
		`{"url": "x", "retries": "3", "ratio": "0.5", "follow": "true"}`:       `{"url": "x", "retries": 3, "ratio": 0.5, "follow": true}`,
		`{"url": "x", "codes": "[200, 204]"}`:                                  `{"url": "x", "codes": [200, 204]}`,
		`{"url": "x", "codes": ["200", 204]}`:                                  `{"url": "x", "codes": [200, 204]}`,
		`{"url": "x", "nested": "{\"deep\": true}", "labels": {"a": "1"}}`:     `{"url": "x", "nested": {"deep": true}, "labels": {"a": "1"}}`,
		`{"url": "x", "nested": {"deep": "false"}}`:                            `{"url": "x", "nested": {"deep": false}}`,
		`{"url": "12", "either": "12", "free": "12"}`:                          `{"url": "12", "either": "12", "free": "12"}`,
		`{"url": "x", "retries": 9007199254740993, "nested": {"deep":"true"}}`: `{"url": "x", "retries": 9007199254740993, "nested": {"deep": true}}`,
	} {
		got, err := schema.conform(json.RawMessage(given))
		require.NoError(t, err, given)
		require.JSONEq(t, want, string(got))
	}
	large, err := schema.conform(json.RawMessage(`{"url":"x","retries":9007199254740993,"ratio":"1"}`))
	require.NoError(t, err)
	require.Contains(t, string(large), "9007199254740993", "no digit is lost")
}

func TestSpecsThatDoNotMatch(t *testing.T) {
	t.Parallel()
	schema := conforming(t, testSpecSchema)
	for given, want := range map[string]string{
		`{}`:                                  `spec: missing "url"`,
		`{"url": "x", "retires": 1}`:          `spec: unknown "retires"`,
		`{"url": "x", "retries": "many"}`:     "spec.retries: the plugin's schema asks for type: \"integer\"",
		`{"url": "x", "retries": "1 2"}`:      "spec.retries",
		`{"url": "x", "retries": "3]"}`:       "spec.retries",
		`{"url": "x", "retries": "-1"}`:       "spec.retries: the plugin's schema asks for minimum: 0",
		`{"url": "x", "codes": ["a-secret"]}`: "spec.codes",
		`{"url": "x"`:                         "spec: not JSON",
		`"a-secret"`:                          "spec: the plugin's schema asks for type: \"object\"",
	} {
		_, err := schema.conform(json.RawMessage(given))
		require.ErrorContains(t, err, want, given)
		require.NotContains(t, err.Error(), "a-secret", "values may be secret")
	}
}
