package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
)

// check applies the rules that go across objects.
func (w *workspace) check() {
	for _, name := range slices.Sorted(maps.Keys(w.Secrets)) {
		w.templates(w.entries[sectionSecrets][name], nil, w.Secrets[name], secretScope)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Actions)) {
		w.checkAction(name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Tasks)) {
		w.checkTask(name)
	}
	w.checkTriggers()
	for section, hooks := range map[string][]core.Hook{sectionOnSuccess: w.OnSuccess, sectionOnError: w.OnError} {
		for i, hook := range hooks {
			var e entry
			if i < len(w.hooks[section]) {
				e = w.hooks[section][i]
			}
			w.checkHook(e, nil, "", hook)
		}
	}
}

func (w *workspace) report(at place, severity Severity, format string, args ...any) {
	d := Diagnostic{Severity: severity, Message: fmt.Sprintf(format, args...)}
	if at.node != nil {
		d.File, d.Line, d.Column = at.file.name, max(at.node.Line, 1), max(at.node.Column, 1)
	}
	w.diags = append(w.diags, d)
}

func (w *workspace) checkAction(name string) {
	action, e := w.Actions[name], w.entries[sectionActions][name]
	if action.Type == core.TypeTask && action.Task != "" && w.Tasks[action.Task] == nil {
		w.report(w.locate(e, "task"), SeverityError, "task '%s' is not defined%s", action.Task, w.didYouMean(action.Task, maps.Keys(w.Tasks)))
	}
	if script, ok := action.Spec["script"].(string); ok && w.lacks(script) {
		w.report(w.locate(e, "script"), SeverityWarning, "the script '%s' does not exist in the workspace", script)
	}
	w.checkActionTemplates(e, action)
}

func (w *workspace) checkTask(name string) {
	task, e := w.Tasks[name], w.entries[sectionTasks][name]
	for _, stepName := range slices.Sorted(maps.Keys(task.Flow)) {
		step := task.Flow[stepName]
		w.checkUse(e, []any{"flow", stepName}, name, step.Action, step.Input)
		for i, dependency := range step.DependsOn {
			if _, ok := task.Flow[dependency]; !ok {
				w.report(w.locate(e, "flow", stepName, "depends_on", i), SeverityError, "step '%s' depends on '%s', a non-existent step%s",
					stepName, dependency, w.didYouMean(dependency, maps.Keys(task.Flow)))
			}
		}
	}
	w.checkCycles(e, task)
	for section, hooks := range map[string][]core.Hook{sectionOnSuccess: task.OnSuccess, sectionOnError: task.OnError} {
		for i, hook := range hooks {
			w.checkHook(e, []any{section, i}, name, hook)
		}
	}
	w.checkTaskTemplates(e, name, task)
}

func (w *workspace) checkCycles(e entry, task *core.Task) {
	if _, rest := sortSteps(task.Flow); len(rest) > 0 {
		for _, cycle := range cycles(task.Flow, rest) {
			w.report(w.locate(e, "flow", cycle[0], "depends_on"), SeverityError, "%s", cycleMessage(cycle))
		}
	}
}

func (w *workspace) checkHook(e entry, path []any, task string, hook core.Hook) {
	w.checkUse(e, path, task, hook.Action, hook.Input)
	w.checkHookTemplates(e, path, hook)
}

// checkUse checks a step or hook's reference to an action, and what it gives it. task is the task around it, or "".
func (w *workspace) checkUse(e entry, path []any, task, name string, input map[string]any) {
	at := func(more ...any) place { return w.locate(e, slices.Concat(path, more)...) }
	action := w.Actions[name]
	switch {
	case name == "": // reported
	case action == nil && strings.Contains(name, "/"):
		w.report(at("action"), SeverityWarning, "action '%s' is not defined; actions of libraries are not supported, so jobs cannot use it", name)
	case action == nil:
		w.report(at("action"), SeverityError, "action '%s' is not defined%s", name, w.didYouMean(name, maps.Keys(w.Actions)))
	case action.Type == core.TypeTask && action.Task == task && task != "":
		w.report(at("action"), SeverityError, "self-reference: action '%s' runs the task '%s', in which it stands", name, task)
	default:
		w.checkGiven(action.Input, input, InputOptions{Convert: true}, at)
	}
}

// checkGiven warns of an input that is known now to be refused when a job runs.
func (w *workspace) checkGiven(fields map[string]core.InputField, given map[string]any, opts InputOptions, at func(...any) place) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, value := fields[name], given[name]
		if hasTemplate(value) || value == nil && field.Default != nil {
			continue
		}
		if _, err := fieldValue(field, value, opts); err != nil && value == nil {
			w.report(at(), SeverityWarning, "input '%s' %s, and is not given", name, err)
		} else if err != nil {
			w.report(at("input", name), SeverityWarning, "input '%s' %s", name, err)
		}
	}
}

func (w *workspace) checkTriggers() {
	webhooks := map[string]string{} // the trigger by the name of its webhook
	for _, name := range slices.Sorted(maps.Keys(w.Triggers)) {
		trigger, e := w.Triggers[name], w.entries[sectionTriggers][name]
		at := func(path ...any) place { return w.locate(e, path...) }
		task := w.Tasks[trigger.Task]
		switch {
		case trigger.Task == "": // reported
		case task == nil:
			w.report(at("task"), SeverityError, "task '%s' is not defined%s", trigger.Task, w.didYouMean(trigger.Task, maps.Keys(w.Tasks)))
		case trigger.Type == triggerScheduler:
			w.checkGiven(task.Input, trigger.Input, InputOptions{}, at)
		}
		if trigger.Type != triggerWebhook || trigger.Name == "" {
			continue
		}
		w.templates(e, []any{"secret"}, trigger.Secret, w.secretScope)
		if other, taken := webhooks[trigger.Name]; taken {
			w.report(at("name"), SeverityError, "the webhook name '%s' is taken by trigger '%s'", trigger.Name, other)
			continue
		}
		webhooks[trigger.Name] = name
	}
}
