package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

// expectation is one run of a task and how it has to end.
type expectation struct {
	Task     string                  `json:"task"`
	Input    map[string]any          `json:"input"`
	Status   string                  `json:"status"`
	Error    string                  `json:"error"`
	Steps    map[string]stepExpected `json:"steps"`
	Output   json.RawMessage         `json:"output"` // absent: not looked at
	Log      []string                `json:"log"`    // texts that the log holds
	LogLines int64                   `json:"log_lines"`
	Numbered bool                    `json:"numbered"`    // each line of the log is its number, with 99 digits
	Within   float64                 `json:"within_secs"` // how long the job may take; absent: not looked at
	Hooks    map[string]relative     `json:"hooks"`       // jobs of its hooks, by place; absent: there are none
	Children map[string]relative     `json:"children"`    // jobs of its steps, by step; absent: there are none
	Events   []string                `json:"events"`      // texts, as the log has them, in what the server says in the log
}

type stepExpected struct {
	Status string `json:"status"`
	Error  string `json:"error"`  // part of the error
	Output any    `json:"output"` // absent: not looked at
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	workspaces := scenarioWorkspaces(t, strings.Clone)
	s := newSystem(t, workspaces, nil)
	s.startWorker("one", settings{"max_concurrent": 4})
	s.startWorker("two", settings{"max_concurrent": 4})
	runScenarios(s, workspaces, func(name string) []expectation { return expectations(t, name, strings.Clone) })
}

// scenarioWorkspaces makes a workspace of each scenario, whose text may be changed.
func scenarioWorkspaces(t *testing.T, change func(string) string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("scenarios/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	workspaces := map[string]string{}
	for _, file := range files {
		dir := coretest.TempDir(t)
		require.NoError(t, os.CopyFS(dir, os.DirFS("scenarios/files")))
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(filepath.Join(dir, ".workflows"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".workflows", filepath.Base(file)), []byte(change(string(content))), 0o600))
		workspaces[scenarioName(file)] = dir
	}
	return workspaces
}

// expectations are those of a scenario, whose text may be changed.
func expectations(t *testing.T, scenario string, change func(string) string) (all []expectation) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("scenarios", scenario+".json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(change(string(data))), &all))
	return all
}

// runScenarios runs every task of the scenarios, and returns when all have ended.
func runScenarios(s *system, workspaces map[string]string, expected func(scenario string) []expectation) {
	s.t.Run("scenarios", func(t *testing.T) {
		for name := range workspaces {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, want := range expected(name) {
					t.Run(want.Task, func(t *testing.T) {
						t.Parallel()
						of(s, t).check(name, want)
					})
				}
			})
		}
	})
}

func scenarioName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") }

// of is the system as seen by a subtest.
func of(s *system, t *testing.T) *system {
	t.Helper()
	other := *s
	other.t = t
	return &other
}

func (s *system) check(workspace string, want expectation) {
	t := s.t
	t.Helper()
	job := s.wait(s.execute(workspace, want.Task, want.Input))
	got, expected := map[string]string{}, map[string]string{}
	for _, step := range job.Steps {
		got[step.StepName] = step.Status
	}
	for name, step := range want.Steps {
		expected[name] = step.Status
	}
	require.Empty(t, cmp.Diff(expected, got), "states of the steps; job %s", job.JobID)
	require.Equal(t, want.Status, job.Status)
	checkTimes(t, job, want)
	if want.Error != "" {
		require.NotNil(t, job.ErrorMessage)
		require.Contains(t, *job.ErrorMessage, want.Error)
	}
	for _, step := range job.Steps {
		expected := want.Steps[step.StepName]
		if expected.Error != "" {
			require.NotNil(t, step.ErrorMessage, step.StepName)
			require.Contains(t, *step.ErrorMessage, expected.Error)
		}
		if expected.Output != nil {
			require.Equal(t, expected.Output, step.Output, step.StepName)
		}
	}
	if want.Output != nil {
		var output any
		require.NoError(t, json.Unmarshal(want.Output, &output))
		require.Empty(t, cmp.Diff(output, job.Output), "output of the job")
	}
	s.checkLog(job.JobID, want)
	s.checkChildren(job, want.Children)
	s.checkHooks(job, want.Hooks)
	s.checkEvents(job.JobID, want.Events)
}

// checkTimes checks that each step began when all that it depends on had ended, and that a skipped one never did.
func checkTimes(t *testing.T, job api.JobDetail, want expectation) {
	t.Helper()
	ended := map[string]time.Time{}
	for _, step := range job.Steps {
		require.NotNil(t, step.CompletedAt, step.StepName)
		ended[step.StepName] = *step.CompletedAt
	}
	for _, step := range job.Steps {
		if step.Status == "skipped" {
			require.Nil(t, step.StartedAt, step.StepName)
			continue
		}
		for _, name := range step.DependsOn {
			if step.StartedAt != nil { // a step whose input cannot be rendered has not started
				require.False(t, step.StartedAt.Before(ended[name]), "%s began before %s had ended", step.StepName, name)
			}
		}
	}
	if want.Within > 0 {
		require.NotNil(t, job.StartedAt)
		require.Less(t, job.CompletedAt.Sub(*job.StartedAt).Seconds(), want.Within)
	}
}

func (s *system) checkLog(job string, want expectation) {
	t := s.t
	t.Helper()
	if len(want.Log) == 0 && want.LogLines == 0 {
		return
	}
	first, err := s.Logs(t.Context(), job, client.LogQuery{})
	require.NoError(t, err)
	if want.LogLines > 0 {
		require.Equal(t, want.LogLines, first.Total)
	}
	for _, text := range want.Log {
		var encoded strings.Builder
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false) // as in logs
		require.NoError(t, encoder.Encode(text))
		require.Contains(t, first.Logs, `"line":`+strings.TrimSpace(encoded.String()))
	}
	// Every line is there once, in order, whatever the pages.
	last := int64(0)
	for last < first.Total {
		page, err := s.Logs(t.Context(), job, client.LogQuery{From: last + 1})
		require.NoError(t, err)
		require.Equal(t, last+1, page.From)
		for line := range strings.Lines(page.Logs) {
			last++
			if want.Numbered {
				var got struct{ Line string }
				require.NoError(t, json.Unmarshal([]byte(line), &got))
				require.Equal(t, fmt.Sprintf("%099d", last), got.Line)
			}
		}
		require.Equal(t, last+1, page.Next)
	}
	require.Equal(t, first.Total, last)
}
