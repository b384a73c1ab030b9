package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// entries of actions, by ada unless they say otherwise.
func entries(actions ...string) []core.AuditEntry {
	list := make([]core.AuditEntry, len(actions))
	for i, action := range actions {
		list[i] = core.AuditEntry{
			Actor: core.Actor{Type: core.ActorUser, Name: "Ada@example.com"}, Action: action, Target: fmt.Sprint("t", i), Result: core.AuditOK,
			RemoteAddress: "192.0.2.1", RequestID: "r", Details: map[string]any{},
		}
	}
	return list
}

// audited are all entries that match, without id and time.
func (b *bundle) audited(t *testing.T, f core.AuditFilter) []core.AuditEntry {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = 500
	}
	list, total, err := b.Audit(t.Context(), f)
	require.NoError(t, err)
	require.Len(t, list, total)
	for i := range list {
		require.Positive(t, list[i].ID)
		require.WithinDuration(t, time.Now(), list[i].At, time.Minute)
		list[i].ID, list[i].At = 0, time.Time{}
	}
	return list
}

func actions(list []core.AuditEntry) []string {
	names := []string{}
	for _, e := range list {
		names = append(names, e.Action)
	}
	return names
}

func TestAuditEntriesAreReadAsTheyWereRecorded(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	list := entries("user.create", "user.disable")
	list[0].Details = map[string]any{"role": "admin", "n": 3.0, "yes": true, "none": nil}
	list[1].Actor, list[1].RemoteAddress, list[1].RequestID = core.Actor{Type: core.ActorSystem}, "", ""
	require.NoError(t, b.RecordAudit(t.Context(), list...))
	require.NoError(t, b.RecordAudit(t.Context()))
	require.Equal(t, []core.AuditEntry{list[1], list[0]}, b.audited(t, core.AuditFilter{}), "newest first")
}

func TestAuditFilters(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	list := entries("user.create", "user.disable", "users.x", "user", "job.execute", "user_.odd", "job.cancel")
	list[4].Actor = core.Actor{Type: core.ActorWorker, Name: "w"}
	list[6].Actor, list[6].Result = core.Actor{Type: core.ActorAnonymous}, core.AuditDenied
	require.NoError(t, b.RecordAudit(t.Context(), list...))
	all, _, err := b.Audit(t.Context(), core.AuditFilter{Limit: 10})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		filter core.AuditFilter
		want   []string
	}{
		"exact action":     {core.AuditFilter{Action: "user"}, []string{"user"}},
		"beginning":        {core.AuditFilter{Action: "user."}, []string{"user.disable", "user.create"}},
		"wildcards":        {core.AuditFilter{Action: "%."}, []string{}},
		"wildcard":         {core.AuditFilter{Action: "user_."}, []string{"user_.odd"}},
		"quote":            {core.AuditFilter{Action: "' or true --"}, []string{}},
		"actor":            {core.AuditFilter{Actor: "w"}, []string{"job.execute"}},
		"actor, any case":  {core.AuditFilter{Actor: "aDA@EXAMPLE.com", Target: "t0"}, []string{"user.create"}},
		"part of an actor": {core.AuditFilter{Actor: "ada@example"}, []string{}},
		"type of actor":    {core.AuditFilter{Actor: "anonymous"}, []string{"job.cancel"}},
		"target":           {core.AuditFilter{Target: "t5"}, []string{"user_.odd"}},
		"result":           {core.AuditFilter{Results: []string{core.AuditDenied, core.AuditFailed}}, []string{"job.cancel"}},
		"all that differ":  {core.AuditFilter{Results: []string{core.AuditDenied}, Actor: "w"}, []string{}},
		"since":            {core.AuditFilter{Since: all[1].At}, []string{"job.cancel", "user_.odd"}},
		"until":            {core.AuditFilter{Until: all[5].At}, []string{"user.create"}},
		"a time":           {core.AuditFilter{Since: all[3].At, Until: all[1].At}, []string{"job.execute", "user"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, actions(b.audited(t, c.filter)))
		})
	}
}

func TestAuditPagesThroughEqualTimes(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const n = 57
	b.exec(t, `insert into audit (at, actor_type, actor, action, target, result, remote_address, request_id)
		select '2026-01-02', 'user', 'ada', 'a.b', i::text, 'ok', '', '' from generate_series(1, $1) i`, n)
	var seen []string
	filter := core.AuditFilter{Limit: 10, Until: time.Now()}
	for page := 0; ; page++ {
		list, total, err := b.Audit(t.Context(), filter)
		require.NoError(t, err)
		require.Equal(t, n, total, "whatever the page")
		for _, e := range list {
			seen = append(seen, e.Target)
		}
		require.NoError(t, b.RecordAudit(t.Context(), entries("new.one")...), "what comes meanwhile is on none of the pages behind")
		if len(list) < filter.Limit {
			break
		}
		filter.Before = list[len(list)-1].ID
	}
	require.Len(t, seen, n)
	for i, target := range seen {
		require.Equal(t, fmt.Sprint(n-i), target)
	}
	b.exec(t, `insert into audit (actor_type, actor, action, target, result, remote_address, request_id)
		select 'user', 'ada', 'b.c', 't', 'ok', '', '' from generate_series(1, 10100)`)
	_, total, err := b.Audit(t.Context(), core.AuditFilter{Action: "b.", Limit: 1})
	require.NoError(t, err)
	require.Equal(t, core.CountLimit+1, total, "more are not counted")
	list, _, err := b.Audit(t.Context(), core.AuditFilter{Action: "a.b", Limit: 10, Offset: 55})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "2", list[0].Target)
}

// TestHostileAuditEntries stores what no column could hold as it is.
func TestHostileAuditEntries(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	huge := strings.Repeat("x", 1<<20)
	list := entries("a.b")
	list[0].Actor.Name, list[0].Target, list[0].RequestID = "nul\x00", huge, "\xff\xfe"
	list[0].Details = map[string]any{"\x00": "\x00", "huge": huge, "line": "a\n2026-01-02 forged", "esc": "\x1b]0;x\x07", huge: 1}
	require.NoError(t, b.RecordAudit(t.Context(), list...))
	got := b.audited(t, core.AuditFilter{})[0]
	require.Equal(t, "nul�", got.Actor.Name)
	require.Equal(t, strings.Repeat("x", 1000)+"…", got.Target)
	require.Equal(t, "�", got.RequestID)
	require.Equal(t, map[string]any{
		"�": "�", "huge": strings.Repeat("x", 1000) + "…", "line": "a�2026-01-02 forged", "esc": "�]0;x�", strings.Repeat("x", 100) + "…": 1.0,
	}, got.Details)
	require.Empty(t, b.audited(t, core.AuditFilter{Actor: "'; drop table audit; --", Target: `\`, Results: []string{"%"}}))
}

// TestJobsAreAuditedInTheirTransaction stores a job with its entry, or neither.
func TestJobsAreAuditedInTheirTransaction(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.create(t, 1)
	require.Empty(t, b.audited(t, core.AuditFilter{}), "a job without an entry")
	entry := entries("job.execute")[0]
	entry.Target = "ws/task\x00"
	again := func(key string, input string) core.NewJob {
		next := job
		next.ID, next.IdempotencyKey, next.Audit, next.Steps, next.Input = uuid.Must(uuid.NewV7()), key, &entry, nil, json.RawMessage(input)
		return next
	}
	require.NoError(t, b.CreateJobs(t.Context(), []core.NewJob{again("k", "{}"), again("", "{}")}))
	entry.Target = "ws/task�"
	require.Equal(t, []core.AuditEntry{entry, entry}, b.audited(t, core.AuditFilter{}))
	require.Error(t, b.CreateJobs(t.Context(), []core.NewJob{again("", "{}"), again("k", "{}")}))
	require.Error(t, b.CreateJobs(t.Context(), []core.NewJob{again("", `{"n":1e999999}`)}))
	require.Len(t, b.audited(t, core.AuditFilter{}), 2)
}

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	_, err = conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}
