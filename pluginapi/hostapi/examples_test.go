package hostapi_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// described is a plugin with one action type.
type described struct {
	scripted
	examples pluginapi.Examples
}

func (d *described) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "scripted", ActionTypes: []pluginapi.ActionType{{Name: "x", Tag: "x", Examples: d.examples}}}, nil
}

// TestExamplesCrossTheWire shows that none was forgotten on the way, when one was added.
func TestExamplesCrossTheWire(t *testing.T) {
	t.Parallel()
	d := &described{}
	fields := d.examples.ByName()
	require.Len(t, fields, reflect.TypeFor[pluginapi.Examples]().NumField())
	for name, example := range fields {
		*example = json.RawMessage(`"` + name + `"`)
	}
	got, err := connect(t, d).Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, d.examples, got.ActionTypes[0].Examples)
	value := reflect.ValueOf(d.examples)
	for i := range value.NumField() {
		require.NotEmpty(t, value.Field(i).Bytes(), "%s has no name", value.Type().Field(i).Name)
	}
}
