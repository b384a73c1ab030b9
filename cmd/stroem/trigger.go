package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/workflow"
)

type triggerFlags struct {
	workspace string
	input     string
	inputFile string
	fields    []string
	wait      bool
	follow    bool
	timeout   time.Duration
}

func (a *app) triggerCommand() *cobra.Command {
	var f triggerFlags
	cmd := &cobra.Command{
		Use:   "trigger TASK",
		Short: "Run a task",
		Example: `  stroem trigger hello-world
  stroem trigger deploy -w production -f version=1.4.2 -f dry_run=true --wait
  stroem trigger report --input-file input.json --follow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.trigger(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "default", "workspace of the task")
	flags.StringVar(&f.input, "input", "", "input as a JSON object")
	flags.StringVar(&f.inputFile, "input-file", "", "file with the input as a JSON object; - reads standard input")
	flags.StringArrayVarP(&f.fields, "field", "f", nil, "one input as key=value, converted to the type that the task declares; repeatable")
	flags.BoolVar(&f.wait, "wait", false, "wait for the job and exit with its result")
	flags.BoolVar(&f.follow, "follow", false, "print the job's log while it runs; includes --wait")
	flags.DurationVar(&f.timeout, "timeout", 0, "give up waiting after this long, with exit code 3")
	cmd.MarkFlagsMutuallyExclusive("input", "input-file")
	return cmd
}

func (a *app) trigger(ctx context.Context, task string, f triggerFlags) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	input, err := f.read(ctx, c, task)
	if err != nil {
		return err
	}
	created, err := c.Execute(ctx, f.workspace, task, api.ExecuteRequest{Input: input}, "")
	if err != nil {
		return err
	}
	if !f.wait && !f.follow {
		if a.out.structured() {
			return a.out.document(created)
		}
		return a.out.line("Job created: " + created.JobID)
	}
	if !a.out.structured() {
		if err := a.out.line("Job created: " + created.JobID); err != nil {
			return err
		}
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	job, err := a.await(ctx, c, created.JobID, f.follow && !a.out.structured())
	if errors.Is(err, context.DeadlineExceeded) {
		return &exitError{exitTimedOut, fmt.Errorf("job %s has not ended after %s; it goes on: stroem status %s", created.JobID, f.timeout, created.JobID)}
	}
	if err != nil {
		return err
	}
	if err := a.printJob(job); err != nil {
		return err
	}
	return result(job)
}

// await waits for a job to end, printing its log if asked to.
func (a *app) await(ctx context.Context, c *client.Client, id string, follow bool) (api.JobDetail, error) {
	if follow {
		if err := a.followLogs(ctx, c, id, client.LogQuery{}, false); err != nil {
			return api.JobDetail{}, err
		}
	}
	for {
		job, err := c.Job(ctx, id, maxWait)
		if err != nil || core.JobStatus(job.Status).Terminal() {
			return job, err
		}
	}
}

// maxWait is how long the server may hold a request that waits for something.
const maxWait = 30 * time.Second

// result is the exit code of a job that was waited for.
func result(job api.JobDetail) error {
	switch core.JobStatus(job.Status) {
	case core.JobCompleted:
		return nil
	case core.JobCancelled:
		return &exitError{code: exitCancelled}
	default:
		return &exitError{code: exitFailed}
	}
}

// read gathers the input from the flags; fields win over the object.
func (f triggerFlags) read(ctx context.Context, c *client.Client, task string) (map[string]any, error) {
	input := map[string]any{}
	document, err := f.document()
	if err != nil {
		return nil, err
	}
	if len(document) > 0 {
		if err := json.Unmarshal(document, &input); err != nil || input == nil {
			return nil, errors.New("Invalid JSON input: it has to be an object, like {\"name\": \"value\"}") //nolint:staticcheck // the contract's words
		}
	}
	if len(f.fields) == 0 {
		return input, nil
	}
	detail, err := c.Task(ctx, f.workspace, task)
	if err != nil {
		return nil, err
	}
	for _, field := range f.fields {
		key, text, found := strings.Cut(field, "=")
		if !found || key == "" {
			return nil, &exitError{exitUsage, fmt.Errorf("--field %q: write it as key=value", field)}
		}
		value, err := workflow.ConvertInput(detail.Input[key].Type, text)
		if err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("--field %s: %w", key, err)}
		}
		input[key] = value
	}
	return input, nil
}

func (f triggerFlags) document() ([]byte, error) {
	switch f.inputFile {
	case "":
		return []byte(f.input), nil
	case "-":
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return data, nil
	default:
		data, err := os.ReadFile(f.inputFile)
		if err != nil {
			return nil, fmt.Errorf("read the input: %w", err)
		}
		return data, nil
	}
}
