package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/workflow"
)

// report is what validate found out about one path. Its JSON is documented in docs/authoring.md.
type report struct {
	Path     string    `json:"path"`
	Valid    bool      `json:"valid"` // there may be warnings
	Problems []problem `json:"problems"`
}

// problem has a file that can be opened from where the program was called.
type problem struct {
	api.Diagnostic
	Severity workflow.Severity `json:"severity"`
}

func newReport(path string, diags workflow.Diagnostics) report {
	r := report{Path: path, Valid: diags.Err() == nil, Problems: []problem{}}
	for _, d := range diags {
		r.Problems = append(r.Problems, problem{api.Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Message: d.Message}, d.Severity})
	}
	return r
}

// count counts errors and warnings.
func count(reports []report) (errs, warnings int) {
	for _, r := range reports {
		for _, p := range r.Problems {
			if p.Severity == workflow.SeverityError {
				errs++
			} else {
				warnings++
			}
		}
	}
	return errs, warnings
}

// checker checks workspaces and files.
type checker struct {
	plugins *consulted
	loaded  map[string]workflow.Diagnostics // of workspaces that were loaded, by directory
}

// path checks a workspace or a file. What cannot be read is a problem like others: the rest is checked all the same.
func (c *checker) path(ctx context.Context, path string) report {
	info, err := os.Stat(path)
	if err != nil {
		return newReport(path, workflow.Diagnostics{{Severity: workflow.SeverityError, Message: fmt.Sprintf("nothing can be read at %s: %s", path, err)}})
	}
	if info.IsDir() {
		return newReport(path, c.workspace(ctx, path))
	}
	if dir := filepath.Dir(path); filepath.Base(absolute(dir)) == workflow.Directory {
		var own workflow.Diagnostics
		for _, d := range c.workspace(ctx, filepath.Join(dir, "..")) {
			if absolute(d.File) == absolute(path) {
				d.File = path
				own = append(own, d)
			}
		}
		return newReport(path, own)
	}
	content, err := os.ReadFile(path) //nolint:gosec // named by the user
	if err != nil {
		return newReport(path, workflow.Diagnostics{{File: path, Severity: workflow.SeverityError, Message: fmt.Sprintf("read file: %s", err)}})
	}
	_, diags := workflow.Parse(path, content, workflow.Options{ActionTypes: c.plugins.types, CheckSpec: c.plugins.checkSpec(ctx)})
	return newReport(path, diags)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// workspace checks the workspace in dir, once. The files of the problems have paths like dir.
func (c *checker) workspace(ctx context.Context, dir string) workflow.Diagnostics {
	if diags, ok := c.loaded[dir]; ok {
		return diags
	}
	var sealed workflow.Diagnostics
	ws, diags := workflow.Load(os.DirFS(dir), workflow.Options{
		ActionTypes: c.plugins.types, CheckSpec: c.plugins.checkSpec(ctx), Decrypt: namesOnly(decrypt(ctx), &sealed),
	})
	diags = append(diags, sealed...)
	slices.SortStableFunc(diags, func(a, b workflow.Diagnostic) int { return strings.Compare(a.File, b.File) })
	if ws != nil && len(diags) == 0 && len(ws.Tasks)+len(ws.Actions)+len(ws.Triggers)+len(ws.Secrets) == 0 {
		diags = append(diags, workflow.Diagnostic{Severity: workflow.SeverityWarning, Message: "there are no workflows here: write some into " +
			filepath.Join(dir, workflow.Directory, "hello.yaml")})
	}
	locate(dir, diags)
	c.loaded[dir] = diags
	return diags
}

// locate gives problems in the workspace in dir paths that can be opened from here.
func locate(dir string, diags workflow.Diagnostics) {
	for i := range diags {
		if diags[i].File != "" {
			diags[i].File = filepath.Join(dir, filepath.FromSlash(diags[i].File))
		}
	}
}

// namesOnly takes a file that cannot be decrypted as it is, and warns: the names of secrets are not encrypted. A file that
// holds more than secrets is not read that way.
func namesOnly(decrypt func(string, []byte) ([]byte, error), warnings *workflow.Diagnostics) func(string, []byte) ([]byte, error) {
	return func(name string, data []byte) ([]byte, error) {
		plain, err := decrypt(name, data)
		if err == nil {
			return plain, nil
		}
		names, only := secretNames(data)
		if !only {
			return nil, err
		}
		*warnings = append(*warnings, workflow.Diagnostic{
			File: name, Line: 1, Column: 1, Severity: workflow.SeverityWarning,
			Message: "the file cannot be decrypted here, so that of its secrets the names alone are checked: " + err.Error(),
		})
		return names, nil
	}
}

// secretNames is an encrypted file without what sops keeps in it for itself. only tells that it holds secrets alone.
func secretNames(encrypted []byte) (names []byte, only bool) {
	var document yaml.Node
	if yaml.Unmarshal(encrypted, &document) != nil || len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, false
	}
	root := document.Content[0]
	for i := len(root.Content) - 2; i >= 0; i -= 2 {
		switch root.Content[i].Value {
		case "sops":
			root.Content = slices.Delete(root.Content, i, i+2)
		case "secrets":
		default:
			return nil, false
		}
	}
	names, err := yaml.Marshal(&document)
	return names, err == nil
}
