package mask

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValues(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"list", "deep value", "482913", "12.5", "hunter2"}, Values(map[string]any{
		"b": map[string]any{"a": []any{"list", "abc", true, nil, "deep value"}, "pin": 482913, "rate": 12.5, "n": 12}, "z": "hunter2", "yes": false,
	}))
	require.Empty(t, Values(nil))
}

func TestMaskDocuments(t *testing.T) {
	t.Parallel()
	m := New([]string{"hunter2", `qu"ote`, "482913", "<a&b>"})
	for name, test := range map[string]struct{ in, want string }{
		"nothing":           {`{"a": [1, "x\ty", null, 1.50]}`, ""},
		"at any depth":      {`{"a":[{"b":"the hunter2."}]}`, `{"a":[{"b":"the ••••••."}]}`},
		"escapes":           {`["\u0068unter2","qu\"ote","\u003ca&b>"]`, `["••••••","••••••","••••••"]`},
		"base64 in a text":  {`"x aHVudGVyMg== y"`, `"x •••••• y"`},
		"JSON in a string":  {`"{\"p\":\"qu\\\"ote\"}"`, `"{\"p\":\"••••••\"}"`},
		"numbers":           {`{"pin":482913,"other":12345678901234567890,"in":1482913.5}`, `{"in":"1••••••.5","other":12345678901234567890,"pin":"••••••"}`},
		"keys":              {`{"hunter2":1,"x hunter2":2,"••••••":3}`, `{"x ••••••":2,"••••••":3,"•••••• (2)":1}`},
		"a key like itself": {`{"hunter2":{"hunter2":"hunter2"}}`, `{"••••••":{"••••••":"••••••"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, changed, err := m.JSON([]byte(test.in))
			require.NoError(t, err)
			require.Equal(t, test.want != "", changed)
			if test.want == "" {
				require.Equal(t, test.in, string(got))
				return
			}
			require.Equal(t, test.want, string(got))
			again, changed, err := m.JSON(got)
			require.NoError(t, err)
			require.False(t, changed, "%s", again)
		})
	}
	_, _, err := m.JSON([]byte(`{"hunter2"`))
	require.Error(t, err)
	var none *Masker
	got, changed, err := none.JSON([]byte(`"hunter2"`))
	require.NoError(t, err)
	require.False(t, changed)
	require.JSONEq(t, `"hunter2"`, string(got))
}

func TestMaskValuesOfGo(t *testing.T) {
	t.Parallel()
	value, changed := New([]string{"482913"}).Value(map[string]any{"pin": 482913.0, "n": 3, "yes": true})
	require.True(t, changed)
	require.Equal(t, map[string]any{"pin": Mark, "n": 3, "yes": true}, value)
}

// FuzzDocument checks that no secret is left in any string of a masked document, and that what is not secret stays.
func FuzzDocument(f *testing.F) {
	f.Add("hunter2", `{"a":"hunter2","b":[1,"x"],"hunter2":{"c":"\u0068unter2"}}`)
	f.Add("1234", `[12345, "a", {"1234": 1.1234e5}]`)
	f.Fuzz(func(t *testing.T, secret, document string) {
		if !json.Valid([]byte(document)) {
			return
		}
		m := New([]string{secret})
		masked, changed, err := m.JSON([]byte(document))
		require.NoError(t, err)
		if !changed {
			require.Equal(t, document, string(masked))
		}
		var value any
		require.NoError(t, json.Unmarshal(masked, &value))
		if !strings.ContainsAny(secret, Mark) { // or the mark itself may hold it
			_, again := m.Value(value)
			require.False(t, again, "%s", masked)
		}
	})
}
