package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

func TestAuditIsListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	entries := []api.AuditEntry{
		{
			ID: 2, At: at, Actor: "ada@example.com", ActorType: "user", Action: "job.execute", Target: "ops/deploy", Result: "ok",
			RemoteAddress: new("192.0.2.7"), RequestID: new("r"), Details: map[string]any{"revision": "abc", "job_id": "7", "n": 1.0},
		},
		{ID: 1, At: at, ActorType: "anonymous", Action: "auth.login", Target: "x\x1b[31m\nforged", Result: "denied", Details: map[string]any{}},
	}
	out, err := against(t, 200, entries, "audit")
	require.NoError(t, err)
	lines := strings.Split(out, "\n")
	require.Regexp(t, `^AT +ACTOR +ACTION +TARGET +RESULT +FROM +DETAILS$`, lines[0])
	require.Regexp(t, `^`+when(&at)+` +ada@example.com +job.execute +ops/deploy +ok +192.0.2.7 +job_id=7 n=1 revision=abc$`, lines[1])
	require.Regexp(t, `^`+when(&at)+` +anonymous +auth.login +x\x{FFFD}\[31m +denied +- +-$`, lines[2])
	out, err = against(t, 200, entries, "audit", "-o", "json")
	require.NoError(t, err)
	var got []api.AuditEntry
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, entries, got)
	out, err = against(t, 200, []api.AuditEntry{}, "audit")
	require.NoError(t, err)
	require.Equal(t, "Nothing is recorded.\n", out)
	_, err = against(t, 400, api.Error{Error: "result has to be one or more of"}, "audit", "--result", "good")
	require.ErrorContains(t, err, "result has to be one or more of")
	for _, args := range [][]string{{"--since", "yesterday"}, {"--until", "-1h"}, {"--since", "99999999d"}, {"--limit", "-1"}, {"more"}} {
		_, err = against(t, 200, entries, append([]string{"audit"}, args...)...)
		var usage *exitError
		require.ErrorAs(t, err, &usage, "%v", args)
		require.Equal(t, exitUsage, usage.code)
	}
}

// TestAuditReadsAllPages asks a server that has 1203 entries.
func TestAuditReadsAllPages(t *testing.T) {
	t.Parallel()
	const all = 1203
	var queries []url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		queries = append(queries, q)
		limit, _ := strconv.Atoi(q.Get("limit"))
		next := all
		if before, err := strconv.Atoi(q.Get("before")); err == nil {
			next = before - 1
		}
		page := []api.AuditEntry{}
		for ; next > 0 && len(page) < limit; next-- {
			page = append(page, api.AuditEntry{ID: int64(next)})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer server.Close()
	for _, c := range []struct {
		limit, want, calls int
	}{{0, all, 3}, {5, 5, 1}, {500, 500, 1}, {501, 501, 2}, {5000, all, 3}} {
		queries = nil
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs([]string{
			"--server", server.URL, "audit", "--limit", strconv.Itoa(c.limit), "-o", "json", "--actor", "ada", "--action", "user.",
			"--target", "a&b", "--result", "ok,denied", "--since", "7d", "--until", "2026-01-02T03:04:05+01:00",
		})
		require.NoError(t, root.ExecuteContext(t.Context()))
		var got []api.AuditEntry
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		require.Len(t, got, c.want)
		require.Equal(t, int64(all-c.want+1), got[len(got)-1].ID)
		require.Len(t, queries, c.calls)
		for _, q := range queries {
			since, err := time.Parse(time.RFC3339, q.Get("since"))
			require.NoError(t, err)
			require.WithinDuration(t, time.Now().AddDate(0, 0, -7), since, time.Hour+time.Minute)
			require.Equal(t, "ada user. a&b ok,denied 2026-01-02T02:04:05Z",
				fmt.Sprint(q.Get("actor"), " ", q.Get("action"), " ", q.Get("target"), " ", q.Get("result"), " ", q.Get("until")))
		}
	}
}

// TestTablesFit cuts as many columns as it takes.
func TestTablesFit(t *testing.T) {
	t.Parallel()
	for _, width := range []int{60, 80, 120, 2000} {
		var out bytes.Buffer
		p := printer{w: &out, width: width}
		require.NoError(t, p.table([]string{"A", "B", "C", "D"}, [][]string{
			{"short", strings.Repeat("x", 500), strings.Repeat("y", 700), strings.Repeat("z", 20)}, {"s", "x", "y", "z"},
		}))
		for line := range strings.SplitSeq(out.String(), "\n") {
			require.LessOrEqual(t, visible(line), width)
		}
		require.Contains(t, out.String(), "short  x", "narrow columns stay whole")
	}
}
