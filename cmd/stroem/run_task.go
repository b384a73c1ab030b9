package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// taskRun is the one job of a run.
type taskRun struct {
	app       *app
	client    *client.Client
	workspace string
	task      string
	steps     []string // names, in any order
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
	return result(job)
}

func (r *taskRun) cancel(life context.Context, id string) {
	ctx, cancel := context.WithTimeout(life, cancelLimit)
	defer cancel()
	_, _ = r.client.Cancel(ctx, id) // if it has ended already, or cannot be reached, there is nothing to cancel
}

// follow prints the log as it comes.
func (r *taskRun) follow(life context.Context, id string) (api.JobDetail, error) {
	view := logView{out: &r.app.out, width: longest(r.steps)}
	if r.app.out.structured() {
		view.out = &r.messages.printer
	}
	r.messages.clear()
	if err := view.follow(life, r.client, id, client.LogQuery{}); err != nil {
		return api.JobDetail{}, err
	}
	return r.app.await(life, r.client, id, false)
}

func longest(names []string) (width int) {
	for _, name := range names {
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
