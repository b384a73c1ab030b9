package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

func TestScopeTask(t *testing.T) {
	t.Parallel()
	const id = "01999b6e-0000-7000-8000-000000000000"
	for _, test := range []struct {
		job  core.Job
		want string
	}{
		{core.Job{TaskName: "deploy", SourceType: core.SourceUser, SourceID: "a@example.com"}, "deploy"},
		{core.Job{TaskName: "deploy", SourceType: core.SourceTask, SourceID: "a/b/c/d"}, "deploy"},
		{core.Job{TaskName: "report", SourceType: core.SourceHook, SourceID: "ws/deploy/" + id + "/on_error[0]"}, "report"},
		{core.Job{TaskName: "_hook:notify", SourceType: core.SourceHook, SourceID: "ws/deploy/" + id + "/on_error[0]"}, "deploy"},
		{core.Job{TaskName: "_hook:notify", SourceType: core.SourceHook, SourceID: "ws/team/a/deploy/" + id + "/on_success[12]"}, "team/a/deploy"},
		{core.Job{TaskName: "_hook:a/b", SourceType: core.SourceHook, SourceID: "ws/deploy/" + id + "/on_error[0]"}, "deploy"},
		{core.Job{TaskName: "_hook:notify", SourceType: core.SourceUser, SourceID: "ws/deploy/x/y"}, "_hook:notify"},
		{core.Job{TaskName: "_hook:notify", SourceType: core.SourceHook, SourceID: "ws/deploy/x"}, ""},
		{core.Job{TaskName: "_hook:notify", SourceType: core.SourceHook}, ""},
	} {
		require.Equal(t, test.want, test.job.ScopeTask(), "%+v", test.job)
	}
}
