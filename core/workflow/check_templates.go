package workflow

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
)

// The names that templates know, besides steps.
const (
	rootInput  = "input"
	rootSecret = "secret"
	rootHook   = "hook"
	rootEnv    = "env"
)

// hookKeys are what hook has.
var hookKeys = []string{
	"workspace", "task_name", "job_id", "status", "source_type", "source_id", "started_at", "completed_at",
	"error_message", "is_success", "duration_secs", "failed_steps",
}

// scope tells what the templates at one place can name: a problem with a reference, or "".
type scope func(path []string) string

// templates checks the strings at any depth of a value, which stands at a path below e.
func (w *workspace) templates(e entry, path []any, value any, known scope) {
	walkStrings(value, path, func(path []any, text string) {
		if compiled := w.compile(e, path, text); compiled != nil {
			for _, ref := range compiled.References() {
				if problem := known(ref.Path); problem != "" && !ref.Guarded {
					w.reportIn(e, path, ref.Line, ref.Column, SeverityWarning, problem)
				}
			}
		}
	})
}

// compile returns nil for a text without templates and, after reporting it, for one that is wrong.
func (w *workspace) compile(e entry, path []any, text string) *template.Template {
	if !template.HasTemplate(text) {
		return nil
	}
	if known, ok := w.compiled[text]; ok {
		return known
	}
	compiled, err := template.Compile(text)
	if err != nil {
		line, column, message := 1, 1, err.Error()
		if at, ok := errors.AsType[*template.Error](err); ok {
			line, column, message = at.Line, at.Column, strings.TrimSpace(at.Expression+" "+at.Message)
		}
		w.reportIn(e, path, line, column, SeverityError, "bad template: "+message)
		return nil
	}
	w.compiled[text] = compiled
	return compiled
}

// reportIn reports a problem at a line and column of the text at a path.
func (w *workspace) reportIn(e entry, path []any, line, column int, severity Severity, message string) {
	d := Diagnostic{Severity: severity, Message: message}
	if at := w.locate(e, path...); at.node != nil {
		d.File = at.file.name
		d.Line, d.Column = at.file.inText(at.node, line, column)
	}
	w.diags = append(w.diags, d)
}

// secretScope knows env, whose variables are those of where the secrets are rendered.
func secretScope(path []string) string {
	if path[0] == rootEnv {
		return ""
	}
	return "undefined name '" + path[0] + "'; a secret knows env.<NAME> alone, a variable of the server that it is allowed to use"
}

// secret finds a reference to a secret that is not there.
func (w *workspace) secret(path []string) string {
	var value any = w.Secrets
	for i, name := range path[1:] {
		group, isGroup := value.(map[string]any)
		if !isGroup {
			return ""
		}
		if value = group[name]; value == nil {
			if _, isNull := group[name]; isNull {
				return ""
			}
			return "undefined secret '" + strings.Join(path[:i+2], ".") + "'" + w.didYouMean(name, maps.Keys(group))
		}
	}
	return ""
}

// inputScope knows input, if fields are declared, and secret.
func (w *workspace) inputScope(fields map[string]core.InputField, hint string) scope {
	return func(path []string) string {
		switch path[0] {
		case rootInput:
			return w.undeclared(fields, path)
		case rootSecret:
			return w.secret(path)
		}
		return "undefined name '" + path[0] + "'; " + hint
	}
}

// secretScope knows secret alone.
func (w *workspace) secretScope(path []string) string {
	if path[0] == rootSecret {
		return w.secret(path)
	}
	return "undefined name '" + path[0] + "'; only secret is known here"
}

// undeclared finds an input that is not among the declared ones, if there are any.
func (w *workspace) undeclared(fields map[string]core.InputField, path []string) string {
	if len(path) < 2 || len(fields) == 0 {
		return ""
	}
	if _, ok := fields[path[1]]; ok {
		return ""
	}
	return "input '" + path[1] + "' is not declared" + w.didYouMean(path[1], maps.Keys(fields))
}

func (w *workspace) checkActionTemplates(e entry, action *core.Action) {
	known := w.inputScope(action.Input, "an action knows input and secret: pass what it needs by the step's input")
	for _, name := range slices.Sorted(maps.Keys(action.Env)) {
		w.templates(e, []any{"env", name}, action.Env[name], known)
	}
	w.templates(e, nil, action.Spec, known)
	w.checkDefaults(e, action.Input)
	if cmd, ok := action.Spec["cmd"].(string); ok {
		if compiled := w.compile(e, []any{"cmd"}, cmd); compiled != nil {
			for _, ref := range compiled.Unquoted(rootInput) {
				w.reportIn(e, []any{"cmd"}, ref.Line, ref.Column, SeverityWarning, "{{ "+strings.Join(ref.Path, ".")+
					" }} stands unquoted in shell text, which would run whatever the input says: use \"$"+variable(ref.Path)+"\"")
			}
		}
	}
}

// variable is the environment variable that holds an input.
func variable(path []string) string {
	if len(path) < 2 {
		return "INPUT_…"
	}
	return "INPUT_" + strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		}
		return '_'
	}, path[1])
}

func (w *workspace) checkDefaults(e entry, fields map[string]core.InputField) {
	known := func(path []string) string {
		if path[0] == rootSecret {
			return w.secret(path)
		}
		return "undefined name '" + path[0] + "'; a default knows secret only"
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if text, ok := fields[name].Default.(string); ok {
			w.templates(e, []any{"input", name, "default"}, text, known)
		}
	}
}

func (w *workspace) checkHookTemplates(e entry, path []any, hook core.Hook) {
	w.templates(e, slices.Concat(path, []any{"input"}), hook.Input, func(path []string) string {
		switch {
		case path[0] == rootSecret:
			return w.secret(path)
		case path[0] != rootHook:
			return "undefined name '" + path[0] + "'; a hook knows hook and secret"
		case len(path) > 1 && !slices.Contains(hookKeys, path[1]):
			return "hook has no '" + path[1] + "'" + orKnown(path[1], hookKeys)
		}
		return ""
	})
}

func (w *workspace) checkTaskTemplates(e entry, name string, task *core.Task) {
	w.checkDefaults(e, task.Input)
	declared := task.Input
	for _, trigger := range w.Triggers {
		if trigger.Type == triggerWebhook && trigger.Task == name {
			declared = nil // callers send what they like
		}
	}
	steps := newStepScope(task.Flow)
	inputs := w.inputScope(declared, "a step's input knows input, secret and the steps before it")
	for _, name := range slices.Sorted(maps.Keys(task.Flow)) {
		w.templates(e, []any{"flow", name, "input"}, task.Flow[name].Input, func(path []string) string {
			if problem, ok := steps.check(name, path); ok {
				return problem
			}
			problem := inputs(path)
			if problem != "" && path[0] != rootInput && path[0] != rootSecret {
				problem += w.didYouMean(path[0], maps.Keys(steps.names))
			}
			return problem
		})
	}
}
