package plugintest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// printLimit is how long what a plugin printed may be under way. Its log is complete when it has ended.
const printLimit = 200 * time.Millisecond

// testSecrets runs steps with a value that nobody else has, in env and in spec, good and bad ones, and looks for it in what
// the plugin logged.
func (s *runnerSuite) testSecrets(t TB) {
	i, secret := s.runner(t), "conformance-secret-"+newID()
	specs := []json.RawMessage{s.examples.Succeed, []byte(`{"` + secret), []byte(`"` + secret + `"`)}
	if len(s.examples.Fail) > 0 {
		specs = append(specs, s.examples.Fail)
	}
	specs = append(specs, withSecret(s.examples.Succeed, secret)...)
	for _, spec := range specs {
		req := s.request(t, spec)
		req.Env["STROEM_CONFORMANCE_SECRET"] = secret
		f := s.start(t, i, req)
		if !closed(f.ended, 10*time.Second) { // what a changed spec does, nobody knows
			f.cancel()
		}
		_, _ = f.wait(t, patience)
		if bytes.Contains(f.state, []byte(secret)) {
			t.Errorf("the state of a run has a value of env or spec in it")
		}
	}
	eventually(t, printLimit, func() bool { return strings.Contains(i.process.logged(), secret) })
	i.process.end()
	for line := range strings.Lines(i.process.logged()) {
		if before, _, found := strings.Cut(line, secret); found {
			t.Errorf("the plugin logs a value of env or spec: %.200s…", before)
			return
		}
	}
}

// withSecret returns variants of a spec, each with the secret at the end of another one of its strings.
func withSecret(spec json.RawMessage, secret string) []json.RawMessage {
	const most = 8
	var variants []json.RawMessage
	for n := range most {
		decoder := json.NewDecoder(bytes.NewReader(spec))
		decoder.UseNumber()
		var value any
		if decoder.Decode(&value) != nil {
			return variants
		}
		left := n
		value = appendTo(value, secret, &left)
		if left >= 0 {
			return variants // there are no more strings
		}
		if variant, err := json.Marshal(value); err == nil {
			variants = append(variants, variant)
		}
	}
	return variants
}

// appendTo adds the text to the string that has *left others before it; *left is below zero then.
func appendTo(value any, text string, left *int) any {
	switch v := value.(type) {
	case string:
		*left--
		if *left == -1 {
			return v + text
		}
	case []any:
		for i := range v {
			v[i] = appendTo(v[i], text, left)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = appendTo(v[key], text, left)
		}
	}
	return value
}
