package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

func TestTriggersAreListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	stamp := when(&at)
	list := []api.Trigger{
		{
			Name: "nightly", Type: "scheduler", Cron: "30 2 * * *", Timezone: "Europe/Oslo", Task: "backup", Enabled: true,
			NextRuns: []time.Time{at, at.Add(time.Hour)}, Last: &api.TriggerUse{At: at, JobID: new("7")},
		},
		{Name: "push", Type: "webhook", Task: "deploy", Enabled: true, Last: &api.TriggerUse{At: at, Reason: new("wrong signature")}},
		{Name: "off", Type: "scheduler", Cron: "* * * * *", Task: "backup", NextRuns: []time.Time{at}},
	}
	out, err := against(t, 200, list, "triggers", "ops")
	require.NoError(t, err)
	lines := strings.Split(out, "\n")
	require.Regexp(t, `^NAME +WORKSPACE +TYPE +SCHEDULE +TASK +ENABLED +NEXT +LAST$`, lines[0])
	require.Regexp(t, `^nightly +ops +scheduler +30 2 \* \* \* Europe/Oslo +backup +yes +`+stamp+` +`+stamp+`$`, lines[1])
	require.Regexp(t, `^push +ops +webhook +- +deploy +yes +- +`+stamp+` \(no job\)$`, lines[2])
	require.Regexp(t, `^off +ops +scheduler +\* \* \* \* \* +backup +no +- +-$`, lines[3])
	out, err = against(t, 200, list, "triggers", "ops", "-o", "json")
	require.NoError(t, err)
	var got []workspaceTrigger
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, "ops", got[0].Workspace)
	require.Equal(t, list[0], got[0].Trigger)
	out, err = against(t, 200, list, "triggers", "ops", "-o", "yaml")
	require.NoError(t, err)
	require.Contains(t, out, "workspace: ops\n")
	require.Contains(t, out, "name: nightly\n")
	out, err = against(t, 200, []api.Trigger{}, "triggers", "ops")
	require.NoError(t, err)
	require.Equal(t, "No triggers found.\n", out)
}

func TestFiresAreListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	fires := []api.Fire{
		{ScheduledAt: at, FiredAt: at.Add(time.Second), Missed: 3, JobID: new("7")},
		{ScheduledAt: at, FiredAt: at, Reason: new("Task not found\x1b[31m\nmore")},
	}
	out, err := against(t, 200, fires, "triggers", "fires", "ops", "nightly")
	require.NoError(t, err)
	lines := strings.Split(out, "\n")
	require.Regexp(t, `^SCHEDULED +FIRED +MISSED BEFORE +JOB ID +REASON$`, lines[0])
	require.Regexp(t, `^`+when(&at)+` +\S+ \S+ +3 +7 +-$`, lines[1])
	require.Regexp(t, ` 0 +- +Task not found\x{FFFD}\[31m$`, lines[2])
	out, err = against(t, 200, fires, "triggers", "fires", "ops", "nightly", "-o", "json")
	require.NoError(t, err)
	var got []api.Fire
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, fires, got)
	_, err = against(t, 400, api.Error{Error: "The trigger 'push' is a webhook, which has no fires"}, "triggers", "fires", "ops", "push")
	require.ErrorContains(t, err, "which has no fires")
}

func TestDeliveriesAreListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	deliveries := []api.Delivery{
		{ID: 2, At: at, Method: "POST", RemoteAddress: "192.0.2.7", Bytes: 12, Status: 200, JobID: new("7")},
		{ID: 1, At: at, Method: "GET", RemoteAddress: "192.0.2.7", Status: 401, Reason: new("wrong signature")},
	}
	out, err := against(t, 200, deliveries, "triggers", "deliveries", "ops", "push")
	require.NoError(t, err)
	lines := strings.Split(out, "\n")
	require.Regexp(t, `^AT +METHOD +FROM +BYTES +STATUS +JOB ID +REASON$`, lines[0])
	require.Regexp(t, `POST +192.0.2.7 +12 +200 +7 +-$`, lines[1])
	require.Regexp(t, `GET +192.0.2.7 +0 +401 +- +wrong signature$`, lines[2])
	out, err = against(t, 200, deliveries, "triggers", "deliveries", "ops", "push", "--output", "json")
	require.NoError(t, err)
	var got []api.Delivery
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, deliveries, got)
	_, err = against(t, 200, deliveries, "triggers", "deliveries", "ops")
	require.ErrorContains(t, err, "accepts 2 arg(s)")
}
