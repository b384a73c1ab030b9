package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// caseFile says what the conformance suite cannot find out of a plugin.
type caseFile struct {
	// Start is a command that runs while the plugin is checked. The first line that it prints is its address: the checks
	// begin with it, and ${address} in the rest of the file stands for it.
	Start     []string                `json:"start"`
	BadConfig json.RawMessage         `json:"bad_config"`
	Examples  map[string]caseExamples `json:"examples"` // by type, or type/runner
	Source    *caseSource             `json:"source"`

	dir string // of the file; commands run there
}

type caseExamples map[string]json.RawMessage

// caseSource is a workspace for the suite: an existing one, or a command that makes one.
type caseSource struct {
	Settings json.RawMessage `json:"settings"`
	// New is a command. With the arguments "new" and a directory it makes a workspace there, with "change" and that
	// directory it changes a file of it; each time it prints {"settings": …, "files": {path: content}}.
	New          []string        `json:"new"`
	Missing      json.RawMessage `json:"missing"`
	Executable   []string        `json:"executable"`
	KeepsHistory bool            `json:"keeps_history"`
}

// yamlToJSON reads YAML, of which JSON is a part.
func yamlToJSON(text []byte) (json.RawMessage, error) {
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// jsonOrFile reads settings: a JSON object in the argument itself, or a YAML or JSON file.
func jsonOrFile(argument string) (json.RawMessage, error) {
	text := []byte(argument)
	if !strings.HasPrefix(strings.TrimSpace(argument), "{") {
		var err error
		if text, err = os.ReadFile(argument); err != nil { //nolint:gosec // named by the user
			return nil, err
		}
	}
	settings, err := yamlToJSON(text)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(settings, []byte("{")) {
		return nil, errors.New("the settings of a plugin are an object")
	}
	return settings, nil
}

func readCaseFile(path string) (*caseFile, error) {
	text, err := os.ReadFile(path) //nolint:gosec // named by the user
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	cases := &caseFile{dir: dir}
	data, err := yamlToJSON(text)
	if err != nil {
		return nil, err
	}
	return cases, cases.decode(data)
}

func (c *caseFile) decode(data json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(c); err != nil {
		return err
	}
	known := new(pluginapi.Examples).ByName()
	for key, examples := range c.Examples {
		for name := range examples {
			if known[name] == nil {
				return fmt.Errorf("examples: %s: %q is not the name of an example", key, name)
			}
		}
	}
	return nil
}

// started runs the command that the cases need, if any, and fills in its address. The caller ends it.
func (c *caseFile) started(ctx context.Context, stderr io.Writer) (end func(), err error) {
	if len(c.Start) == 0 {
		return func() {}, nil
	}
	service, err := startService(ctx, c.dir, c.Start, stderr)
	if err != nil {
		return nil, err
	}
	address, err := json.Marshal(service.address)
	if err != nil {
		service.end()
		return nil, err
	}
	c.fill(bytes.Trim(address, `"`))
	return service.end, nil
}

// fill puts the address where the cases name it.
func (c *caseFile) fill(address []byte) {
	replace := func(text *json.RawMessage) { *text = bytes.ReplaceAll(*text, []byte("${address}"), address) }
	replace(&c.BadConfig)
	for _, examples := range c.Examples {
		for name, spec := range examples {
			replace(&spec)
			examples[name] = spec
		}
	}
	if c.Source != nil {
		replace(&c.Source.Settings)
		replace(&c.Source.Missing)
	}
}

// examples returns the examples for the suite. Types that the plugin does not have are a mistake.
func (c *caseFile) examples(d *pluginapi.Description) (map[string]pluginapi.Examples, error) {
	known := map[string]bool{}
	for _, t := range d.ActionTypes {
		known[plugintest.TypeKey(t)] = true
	}
	all := map[string]pluginapi.Examples{}
	for key, given := range c.Examples {
		if !known[key] {
			return nil, fmt.Errorf("examples: the plugin has no action type %q", key)
		}
		var e pluginapi.Examples
		for name, field := range e.ByName() {
			*field = given[name]
		}
		all[key] = e
	}
	return all, nil
}

// options returns what the cases say of a source.
func (c *caseSource) options(dir string) (opts plugintest.SourceOptions) {
	if c == nil {
		return opts
	}
	opts.KeepsHistory, opts.Executable = c.KeepsHistory, c.Executable
	if len(c.Missing) > 0 {
		opts.Missing = func(plugintest.TB) json.RawMessage { return c.Missing }
	}
	switch {
	case len(c.New) > 0:
		opts.New = func(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
			place := t.TempDir()
			settings, files := c.workspace(t, dir, "new", place)
			return settings, files, func() map[string]string {
				_, files := c.workspace(t, dir, "change", place)
				return files
			}
		}
	case len(c.Settings) > 0:
		opts.Unchangeable = true
		opts.New = func(plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
			return c.Settings, nil, nil
		}
	}
	return opts
}

// workspace calls the command that makes workspaces.
func (c *caseSource) workspace(t plugintest.TB, dir, verb, place string) (json.RawMessage, map[string]string) {
	args := append(c.New[1:len(c.New):len(c.New)], verb, place)
	cmd := exec.CommandContext(t.Context(), c.New[0], args...) //nolint:gosec // named by the user
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make a workspace with %s: %v", c.New[0], err)
	}
	var answer struct {
		Settings json.RawMessage   `json:"settings"`
		Files    map[string]string `json:"files"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("make a workspace with %s: it has to print {\"settings\": …, \"files\": …}: %v", c.New[0], err)
	}
	return answer.Settings, answer.Files
}
