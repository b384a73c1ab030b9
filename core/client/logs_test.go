package client_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

func TestSearchGoesOn(t *testing.T) {
	t.Parallel()
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		next := 10 * len(asked)
		_, err := fmt.Fprintf(w, `{"line":%d,"text":"x"}`+"\n"+`{"next":%[1]d,"total":30}`+"\n"+`{"done":true,"next":%d,"total":30,"complete":%t}`+"\n",
			next-5, next, len(asked) == 3)
		assert.NoError(t, err)
	})
	var lines []int64
	q := client.LogQuery{Step: "a", Q: "x", Regexp: true, Tail: 5, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))}
	require.NoError(t, c.SearchLogs(t.Context(), "7", q, func(found api.LogFound) error {
		require.Equal(t, "x", *found.Text)
		lines = append(lines, found.Line)
		return nil
	}))
	require.Equal(t, []int64{5, 15, 25}, lines)
	require.Equal(t, []string{
		"/api/jobs/7/logs/search?limit=10000&q=x&regex=true&since=2026-01-02T02%3A04%3A05Z&step=a",
		"/api/jobs/7/logs/search?from=10&limit=10000&q=x&regex=true&since=2026-01-02T02%3A04%3A05Z&step=a",
		"/api/jobs/7/logs/search?from=20&limit=10000&q=x&regex=true&since=2026-01-02T02%3A04%3A05Z&step=a",
	}, asked)
}

func TestSearchesThatFail(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"line":5}` + "\n": "unexpected EOF",
		`{"done":true,"next":7,"complete":false,"error":"The server is stopping"}`: "ended at line 7: The server is stopping",
		`{"done":true,"complete":false}`:                                           "does not go on",
		`<html>`:                                                                   "read the answer",
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write([]byte(body))
			assert.NoError(t, err)
		})
		require.ErrorContains(t, c.SearchLogs(t.Context(), "7", client.LogQuery{Q: "x"}, func(api.LogFound) error { return nil }), want)
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, 400, api.Error{Error: "The regular expression is wrong at character 1", Code: "regexp_invalid"})
	})
	err := c.SearchLogs(t.Context(), "7", client.LogQuery{Q: "("}, nil)
	require.True(t, client.IsCode(err, "regexp_invalid"))
	require.True(t, client.IsCode(c.DownloadLogs(t.Context(), "7", client.LogQuery{}, true, nil), "regexp_invalid"))
}
