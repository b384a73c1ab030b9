package engine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
)

// TestWhatAHookKnows looks at all that a hook can name, also where there is nothing to tell.
func TestWhatAHookKnows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flow     map[string]core.FlowStep
		execute  engine.Execute
		failing  []string
		list     string
		want     map[string]any // beside workspace, task, job and times
		started  bool
		rendered string
	}{
		"completed": {
			flow: map[string]core.FlowStep{"a": {}}, execute: engine.Execute{Source: core.SourceAPI}, list: "on_success", started: true,
			want: map[string]any{
				"status": "completed", "is_success": true, "source_type": "api", "source_id": nil, "error_message": nil, "failed_steps": []any{},
			},
			rendered: "completed by , none, true, none",
		},
		"failures that are tolerated, of a user": {
			flow:    map[string]core.FlowStep{"b": {ContinueOnFailure: true}, "a": {ContinueOnFailure: true}},
			execute: engine.Execute{Source: core.SourceUser, SourceID: "ann@example.com"}, failing: []string{"a", "b"}, list: "on_success", started: true,
			want: map[string]any{
				"status": "completed", "is_success": true, "source_type": "user", "source_id": "ann@example.com",
				"error_message": "Step 'a': Exit code: 1\nStderr: no; Step 'b': Exit code: 1\nStderr: no",
				"failed_steps": []any{
					map[string]any{"step_name": "a", "action_name": "act", "error_message": "Exit code: 1\nStderr: no", "continue_on_failure": true},
					map[string]any{"step_name": "b", "action_name": "act", "error_message": "Exit code: 1\nStderr: no", "continue_on_failure": true},
				},
			},
			rendered: "completed by ann@example.com, ann@example.com, true, some",
		},
		"failed before anything was started": {
			flow:    map[string]core.FlowStep{"a": {Input: map[string]any{"x": "{{ input.nothing }}"}}},
			execute: engine.Execute{Source: core.SourceTrigger, SourceID: "ws/nightly"}, list: "on_error",
			want: map[string]any{
				"status": "failed", "is_success": false, "source_type": "trigger", "source_id": "ws/nightly",
				"error_message": "Step 'a': " + unrendered,
				"failed_steps": []any{
					map[string]any{"step_name": "a", "action_name": "act", "error_message": unrendered, "continue_on_failure": false},
				},
			},
			rendered: "failed by ws/nightly, ws/nightly, false, none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := flow(c.flow)
			hooks := []core.Hook{{Action: "act", Input: map[string]any{
				"all": "{{ hook|tojson }}",
				"text": "{{ hook.status }} by {{ hook.source_id }}, {{ hook.source_id|default:'none' }}, {{ hook.is_success }}, " +
					"{% if hook.started_at and hook.error_message %}some{% else %}none{% endif %}",
			}}}
			ws.OnSuccess, ws.OnError = hooks, hooks
			b := newBundle(t, ws, engine.Config{})
			c.execute.Workspace, c.execute.Task = "ws", "task"
			id, err := b.Execute(t.Context(), c.execute)
			require.NoError(t, err)
			b.worker(t, "w").work(c.failing...)
			b.awaitEnd(t, id)
			var input struct{ All, Text string }
			require.NoError(t, json.Unmarshal(b.hooksOf(t, id)["ws/task/"+id.String()+"/"+c.list+"[0]"].Input, &input))
			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(input.All), &got))
			stored, _, err := b.store.GetJob(t.Context(), id)
			require.NoError(t, err)
			completed, err := time.Parse(time.RFC3339, got["completed_at"].(string))
			require.NoError(t, err)
			require.WithinDuration(t, stored.CompletedAt, completed, 2*time.Second)
			if c.started {
				require.Equal(t, stored.StartedAt.UTC().Format(time.RFC3339), got["started_at"])
				require.InDelta(t, stored.CompletedAt.Sub(stored.StartedAt).Seconds(), got["duration_secs"], 1)
			} else {
				require.Nil(t, got["started_at"])
				require.Nil(t, got["duration_secs"])
			}
			for _, key := range []string{"completed_at", "started_at", "duration_secs"} {
				require.Contains(t, got, key, "it is there, though it may be null")
				delete(got, key)
			}
			c.want["workspace"], c.want["task_name"], c.want["job_id"] = "ws", "task", id.String()
			require.Equal(t, c.want, got)
			require.Equal(t, c.rendered, input.Text)
		})
	}
}

const unrendered = `Cannot render input.x: {{ input.nothing }} (line 1, column 4): "input.nothing" is undefined: input has the keys (none); ` +
	`if it may be missing, write |default:"…" behind it`
