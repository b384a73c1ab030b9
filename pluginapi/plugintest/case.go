package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// Case is one property that a plugin should have.
type Case struct {
	Name string
	Run  func(t TB)
}

// run runs the cases as parallel tests.
func run(t *testing.T, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t)
		})
	}
}

// patience is how long anything may take that has no limit of its own.
const patience = 30 * time.Second

func within(t TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// configure prepares a fresh instance for work.
func configure(t TB, p pluginapi.Plugin, settings json.RawMessage) {
	t.Helper()
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	if err := p.Configure(within(t, patience), &pluginapi.Config{Settings: settings, DataDir: t.TempDir()}); err != nil {
		t.Fatalf("Configure: %v", err)
	}
}

// describe returns what the plugin says about itself.
func describe(t TB, p pluginapi.Plugin) *pluginapi.Description {
	t.Helper()
	d, err := p.Describe(within(t, patience))
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	return d
}

// pluginCases are the cases that hold for every kind.
func pluginCases(open Opener, kind pluginapi.Kind, settings, badSettings json.RawMessage) []Case {
	cases := []Case{
		{"describe", func(t TB) { testDescribe(t, hostapi.NewPlugin(open(t), "plugin"), kind, settings) }},
		{"health", func(t TB) {
			p := hostapi.NewPlugin(open(t), "plugin")
			configure(t, p, settings)
			h, err := p.CheckHealth(within(t, 3*time.Second))
			if err != nil {
				t.Fatalf("CheckHealth: %v", err)
			}
			if h.State != pluginapi.Healthy && h.Message == "" {
				t.Errorf("the plugin is %s but does not say why", h.State)
			}
		}},
	}
	if badSettings != nil {
		cases = append(cases, Case{"bad config", func(t TB) {
			p := hostapi.NewPlugin(open(t), "plugin")
			wantCode(t, p.Configure(within(t, patience), &pluginapi.Config{Settings: badSettings}), pluginapi.CodeInvalid)
		}})
	}
	return cases
}

func testDescribe(t TB, p *hostapi.Plugin, kind pluginapi.Kind, settings json.RawMessage) {
	before := describe(t, p)
	configure(t, p, settings)
	if after := describe(t, p); !reflect.DeepEqual(before, after) {
		t.Errorf("the description changed from %+v to %+v", before, after)
	}
	if before.Kind != kind {
		t.Errorf("the plugin says that it is a %q, not a %q", before.Kind, kind)
	}
	if before.Name == "" || before.Version == "" {
		t.Errorf("name %q and version %q must not be empty", before.Name, before.Version)
	}
	isSchema(t, "ConfigSchema", before.ConfigSchema)
	isSchema(t, "SettingsSchema", before.SettingsSchema)
}

// isSchema checks that a schema is at least a JSON object.
func isSchema(t TB, name string, schema json.RawMessage) {
	t.Helper()
	var object map[string]any
	if len(schema) > 0 && json.Unmarshal(schema, &object) != nil {
		t.Errorf("%s is not a JSON object: %s", name, schema)
	}
}

// wantCode checks the code of an error.
func wantCode(t TB, err error, want pluginapi.Code) {
	t.Helper()
	if got := pluginapi.CodeOf(err); got != want {
		t.Errorf("got code %q (%v), want %q", got, err, want)
	}
}

// wantOK stops the test at an error.
func wantOK(t TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// brokenReader gives some bytes and then an error.
type brokenReader struct{ data *bytes.Reader }

var errBroken = errors.New("the reader broke")

func (r brokenReader) Read(p []byte) (int, error) {
	if r.data.Len() == 0 {
		return 0, errBroken
	}
	return r.data.Read(p)
}
