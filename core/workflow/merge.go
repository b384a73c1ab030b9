package workflow

import (
	"iter"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
)

// workspace is what all files together contribute, and where everything stands.
type workspace struct {
	*core.Workspace
	settings
	entries map[string]map[string]entry // of the sections that are maps, by name
	hooks   map[string][]entry          // of the sections that are lists, by position
	nodes   map[*yaml.Node]map[string]*yaml.Node
	diags   Diagnostics
	hints   int // given so far
}

// entry is where a definition stands.
type entry struct {
	file  *file
	key   *yaml.Node // nil in a list
	value *yaml.Node
}

// merge puts files together in their order. A name that two files define is reported.
func merge(files []*file, opts settings) *workspace {
	w := &workspace{
		Workspace: &core.Workspace{
			Secrets: map[string]any{}, Actions: map[string]*core.Action{},
			Tasks: map[string]*core.Task{}, Triggers: map[string]*core.Trigger{},
		},
		settings: opts,
		entries:  map[string]map[string]entry{sectionSecrets: {}, sectionActions: {}, sectionTasks: {}, sectionTriggers: {}},
		hooks:    map[string][]entry{},
		nodes:    map[*yaml.Node]map[string]*yaml.Node{},
	}
	for _, f := range files {
		w.diags = append(w.diags, f.diags...)
		w.place(f)
		maps.Copy(w.Secrets, f.content.Secrets)
		maps.Copy(w.Actions, f.content.Actions)
		maps.Copy(w.Tasks, f.content.Tasks)
		maps.Copy(w.Triggers, f.content.Triggers)
		w.OnSuccess = slices.Concat(w.OnSuccess, f.content.OnSuccess)
		w.OnError = slices.Concat(w.OnError, f.content.OnError)
	}
	return w
}

// place notes where the definitions of a file stand.
func (w *workspace) place(f *file) {
	silent := &reader{file: f.name} // has reported all when the file was read
	for _, section := range silent.pairs(f.root) {
		if hooks := section.name == sectionOnSuccess || section.name == sectionOnError; hooks && section.value.Kind == yaml.SequenceNode {
			for _, item := range section.value.Content {
				w.hooks[section.name] = append(w.hooks[section.name], entry{file: f, value: resolve(item)})
			}
		}
		names := w.entries[section.name]
		if names == nil || section.value.Kind != yaml.MappingNode {
			continue
		}
		for _, p := range silent.pairs(section.value) {
			here := entry{f, p.key, p.value}
			if first, taken := names[p.name]; taken {
				w.report(here.at(p.key), SeverityError, "'%s' is defined twice in %s: here and in %s line %d",
					p.name, section.name, first.file.name, first.key.Line)
				continue
			}
			names[p.name] = here
		}
	}
}

// place is a node of a file.
type place struct {
	file *file
	node *yaml.Node
}

func (e entry) at(n *yaml.Node) place { return place{e.file, n} }

// locate finds the value at a path below an entry, or the nearest one around it.
func (w *workspace) locate(e entry, path ...any) place {
	if e.file == nil { // merged by <<, or a list whose place is not known
		return place{}
	}
	n := e.value
	for _, step := range path {
		name, isName := step.(string)
		if !isName || n.Kind != yaml.MappingNode {
			n = child(n, step)
			continue
		}
		if w.nodes[n] == nil {
			w.nodes[n] = map[string]*yaml.Node{}
			for _, p := range (&reader{}).pairs(n) {
				w.nodes[n][p.name] = p.value
			}
		}
		next := w.nodes[n][name]
		if next == nil {
			break
		}
		n = next
	}
	return e.at(n)
}

// maxHints bounds the work that many problems in large workspaces would make.
const maxHints = 100

// didYouMean proposes the candidate that is nearest to a name, for the first problems.
func (w *workspace) didYouMean(name string, candidates iter.Seq[string]) string {
	if w.hints++; w.hints > maxHints {
		return ""
	}
	return DidYouMean(name, candidates)
}
