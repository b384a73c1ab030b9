package workflow

import (
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
)

// Source is where a task is defined.
type Source struct {
	File string // path in the workspace
	Line int    // from 1
	YAML string // the lines of the definition as written
}

// TaskSource finds the definition of a task in a workspace's files, of which encrypted ones are left out. The error is
// not_found if there is none.
func TaskSource(fsys fs.FS, task string) (Source, error) {
	names, _, err := workflowFiles(fsys)
	if err != nil {
		return Source{}, core.Errorf(core.CodeNotFound, "", "Task not found: %s", err)
	}
	for _, name := range names {
		if isEncrypted(name) {
			continue
		}
		data, err := readAll(fsys, name)
		if err != nil || len(data) > maxFile {
			continue // reported when the workspace was loaded
		}
		f := &file{name: name, lines: strings.Split(string(data), "\n")}
		root, ok := f.parse(data)
		if !ok || root == nil {
			continue
		}
		if first, end := f.extent(root, sectionTasks, task); first > 0 {
			return Source{File: name, Line: first, YAML: f.text(first, end)}, nil
		}
	}
	return Source{}, core.Errorf(core.CodeNotFound, "", "Task not found")
}

// extent finds the lines of an entry of a section: the first, and the one behind the last. first is 0 if there is none.
func (f *file) extent(root *yaml.Node, section, name string) (first, end int) {
	end = len(f.lines) + 1
	for _, p := range (&reader{}).pairs(root) {
		if first > 0 {
			return first, min(end, p.key.Line)
		}
		if p.name != section {
			continue
		}
		for _, item := range (&reader{}).pairs(p.value) {
			if first > 0 {
				return first, item.key.Line
			}
			if item.name == name {
				first = item.key.Line
			}
		}
	}
	return first, end
}

// text is the lines from first up to end, without what is empty or a comment behind them.
func (f *file) text(first, end int) string {
	lines := f.lines[first-1 : max(min(end-1, len(f.lines)), first)]
	for len(lines) > 1 {
		last := strings.TrimSpace(lines[len(lines)-1])
		if last != "" && !strings.HasPrefix(last, "#") {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "\n") + "\n"
}
