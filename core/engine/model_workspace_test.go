package engine_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
)

const modelTasks = 3

// drawWorkspace makes some tasks of random steps. A task runs only later ones, so that no job is without end.
func (m *model) drawWorkspace(rt *rapid.T) {
	m.workspace = &core.Workspace{
		Digest: "0123abcd", Tasks: map[string]*core.Task{},
		Actions: map[string]*core.Action{"act": {Type: core.TypeShell, Spec: map[string]any{"cmd": "true"}}},
	}
	for i := range modelTasks {
		name := fmt.Sprint("task", i)
		m.workspace.Actions[fmt.Sprint("run", i)] = &core.Action{Type: core.TypeTask, Task: name}
		m.workspace.Tasks[name] = &core.Task{
			Input: map[string]core.InputField{"n": {Type: "integer", Default: 0}}, Flow: drawFlow(rt, i), Timeout: drawTimeout(rt),
			OnSuccess: m.drawHooks(rt, name+" success"), OnError: m.drawHooks(rt, name+" error"),
		}
	}
	m.workspace.OnSuccess = m.drawHooks(rt, "success")
	m.workspace.OnError = m.drawHooks(rt, "error")
}

func drawFlow(rt *rapid.T, task int) map[string]core.FlowStep {
	steps := map[string]core.FlowStep{}
	n := rapid.IntRange(1, 4).Draw(rt, "steps")
	for i := range n {
		step := core.FlowStep{
			Action: "act", ContinueOnFailure: rapid.IntRange(0, 3).Draw(rt, "flagged") == 0, Timeout: drawTimeout(rt), Input: map[string]any{},
		}
		for j := range i {
			if rapid.IntRange(0, 2).Draw(rt, "edge") > 0 {
				continue
			}
			step.DependsOn = append(step.DependsOn, fmt.Sprint("s", j))
			if rapid.IntRange(0, 2).Draw(rt, "names its output") == 0 { // there may be none, or one that the task does not take
				step.Input["n"] = fmt.Sprintf("{{ s%d.output.n }}", j)
			}
		}
		if task+1 < modelTasks && rapid.IntRange(0, 2).Draw(rt, "runs a task") == 0 {
			step.Action = fmt.Sprint("run", rapid.IntRange(task+1, modelTasks-1).Draw(rt, "task"))
		}
		steps[fmt.Sprint("s", i)] = step
	}
	return steps
}

// drawTimeout draws one that is over at once, one whose end has to be brought about, or none.
func drawTimeout(rt *rapid.T) core.Duration {
	switch rapid.IntRange(0, 11).Draw(rt, "timeout") {
	case 11:
		return core.Duration(time.Millisecond)
	case 8, 9, 10:
		return core.Duration(time.Hour)
	}
	return 0
}

func (m *model) drawHooks(rt *rapid.T, list string) []core.Hook {
	var hooks []core.Hook
	for i := range rapid.IntRange(0, 2).Draw(rt, "hooks") {
		mark := fmt.Sprintf("%s %d", list, i)
		hook := core.Hook{Action: "act", Input: map[string]any{"mark": mark, "status": "{{ hook.status }}"}}
		switch rapid.IntRange(0, 5).Draw(rt, "hook") {
		case 0:
			hook.Input["n"] = "{{ hook.nothing }}"
			m.broken[mark] = true
		case 1:
			hook.Action = "gone"
			m.broken[mark] = true
		case 2, 3:
			hook.Action = fmt.Sprint("run", rapid.IntRange(0, modelTasks-1).Draw(rt, "task of the hook"))
		}
		hooks = append(hooks, hook)
	}
	return hooks
}

// hooksOf are the places of the hooks that a job that has ended so has to have fired, and how many it could not fire.
func (m *model) hooksOf(task string, source core.SourceType, status core.JobStatus) (places []string, broken int) {
	t := m.workspace.Tasks[task]
	if t == nil {
		return nil, 0
	}
	list, own, fallback := "on_success", t.OnSuccess, m.workspace.OnSuccess
	switch status {
	case core.JobCompleted:
	case core.JobFailed:
		list, own, fallback = "on_error", t.OnError, m.workspace.OnError
	default:
		return nil, 0
	}
	if len(own) == 0 && source != core.SourceTask {
		own = fallback
	}
	for i, hook := range own {
		if mark, _ := hook.Input["mark"].(string); m.broken[mark] {
			broken++
		} else {
			places = append(places, fmt.Sprintf("%s[%d]", list, i))
		}
	}
	return places, broken
}
