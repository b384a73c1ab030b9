package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/workflow"
)

// taskRun is the one job of a run.
type taskRun struct {
	app       *app
	client    *client.Client
	workspace string // its name
	content   *core.Workspace
	task      string
	input     map[string]any
	timeout   time.Duration
	messages  *progress
}

// cancelLimit bounds the call that cancels a job.
const cancelLimit = 5 * time.Second

// errTimeout ends the wait of a job that takes too long.
var errTimeout = errors.New("timed out")

// run creates the job and follows it to its end, or cancels it when interrupted ends. life is that of the server. The
// error has the exit code of the job.
func (r *taskRun) run(life, interrupted context.Context) error {
	if err := r.runnable(life); err != nil {
		return err
	}
	wait, cancelWait := context.WithCancelCause(interrupted)
	defer cancelWait(nil)
	created, err := r.client.Execute(life, r.workspace, r.task, api.ExecuteRequest{Input: r.input}, "")
	if err != nil {
		if answer, ok := errors.AsType[*client.Error](err); ok {
			return errors.New(answer.Message) // there is no server to speak of
		}
		return err
	}
	if r.timeout > 0 {
		defer time.AfterFunc(r.timeout, func() { cancelWait(errTimeout) }).Stop()
	}
	cancelled := make(chan struct{})
	dontCancel := context.AfterFunc(wait, func() {
		defer close(cancelled)
		r.cancel(life, created.JobID)
	})
	job, err := r.follow(life, created.JobID)
	if !dontCancel() {
		<-cancelled
	}
	if err != nil {
		r.cancel(life, created.JobID) // nobody sees what it does
		return err
	}
	if err := r.print(job); err != nil {
		return err
	}
	if errors.Is(context.Cause(wait), errTimeout) {
		return &exitError{exitTimedOut, fmt.Errorf("the job had not ended after %s, and was cancelled", r.timeout)}
	}
	if interrupted.Err() != nil && job.Status == string(core.JobFailed) {
		return &exitError{code: exitCancelled} // its steps were killed before the server had heard of it
	}
	return result(job)
}

// labels are the tags that a task's actions have of their own. Here is only one worker, so it has them all, but for those
// that say which plugins a worker has.
func labels(workspace *core.Workspace, task string) []string {
	found := []string{}
	for _, step := range workspace.Tasks[task].Flow {
		action := workspace.Actions[step.Action]
		if action == nil {
			continue // of a library, which the server refuses
		}
		for _, tag := range action.Tags {
			if !slices.Contains(pluginTags(), tag) && !core.IsVendorType(tag) {
				found = append(found, tag)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// pluginTags are the tags of the types of actions that need no third party's plugin.
func pluginTags() (tags []string) {
	for _, t := range workflow.BuiltinTypes() {
		tags = append(tags, t.Tag)
	}
	return tags
}

// runnable refuses a task with a step that would wait forever, because no plugin here runs it.
func (r *taskRun) runnable(life context.Context) error {
	workers, err := r.client.Workers(life, 1, 0)
	if err != nil {
		return err
	}
	flow := r.content.Tasks[r.task].Flow
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		action := r.content.Actions[flow[name].Action]
		if action == nil {
			continue // of a library, which the server refuses
		}
		for _, tag := range action.RequiredTags() {
			if len(workers) > 0 && slices.Contains(workers[0].Tags, tag) {
				continue
			}
			return fmt.Errorf("no plugin here runs step '%s', which needs one with the tag %s: put it into the directory of the plugins, or name it with --plugin%s",
				name, tag, r.pluginErrors(life))
		}
	}
	return nil
}

// pluginErrors tells of the plugins that do not work.
func (r *taskRun) pluginErrors(life context.Context) (text string) {
	plugins, err := r.client.Plugins(life)
	if err != nil {
		return "" // it is for an explanation only
	}
	for _, p := range plugins {
		if p.LastError != "" {
			text += fmt.Sprintf("\n%s-%s is %s: %s", p.Kind, p.Name, p.State, p.LastError)
		}
	}
	return text
}

func (r *taskRun) cancel(life context.Context, id string) {
	ctx, cancel := context.WithTimeout(life, cancelLimit)
	defer cancel()
	_, _ = r.client.Cancel(ctx, id) // if it has ended already, or cannot be reached, there is nothing to cancel
}

// follow prints the log as it comes.
func (r *taskRun) follow(life context.Context, id string) (api.JobDetail, error) {
	view := logView{out: &r.app.out, width: longest(maps.Keys(r.content.Tasks[r.task].Flow))}
	if r.app.out.structured() {
		view.out = &r.messages.printer
	}
	r.messages.clear()
	if err := view.follow(life, r.client, id, client.LogQuery{}); err != nil {
		return api.JobDetail{}, err
	}
	return r.app.await(life, r.client, id, false)
}

func longest(names iter.Seq[string]) (width int) {
	for name := range names {
		width = max(width, visible(name))
	}
	return width
}

// print shows the steps, the output, and how it ended.
func (r *taskRun) print(job api.JobDetail) error {
	out := &r.app.out
	if out.structured() {
		return out.document(job)
	}
	if err := r.app.printSteps(job.Steps); err != nil {
		return err
	}
	text := ""
	if job.Output != nil {
		output, err := json.MarshalIndent(job.Output, "", "  ")
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		text += "\nOutput:\n" + printable(string(output)) + "\n"
	}
	text += "\n" + r.task + " " + out.status(job.Status) + " after " + duration(&job.CreatedAt, job.CompletedAt)
	if job.ErrorMessage != nil {
		text += ": " + printable(*job.ErrorMessage)
	}
	return out.line(text)
}
