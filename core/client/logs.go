package client

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/stroem/stroem/core/api"
)

// LogQuery selects lines of a log; zero fields do not restrict.
type LogQuery struct {
	Step   string
	Stream string    // stdout or stderr
	Since  time.Time // at or after this
	Until  time.Time // before this

	Q          string // text that a line contains
	Regexp     bool   // Q is a regular expression
	IgnoreCase bool

	From  int64         // number of the first line, from 1
	Limit int64         // of lines
	Tail  int64         // only the last lines
	Wait  time.Duration // for a line, at most a minute
}

func (q *LogQuery) values() url.Values {
	values := url.Values{}
	for key, n := range map[string]int64{"from": q.From, "limit": q.Limit, "tail": q.Tail} {
		if n > 0 {
			values.Set(key, strconv.FormatInt(n, 10))
		}
	}
	for key, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			values.Set(key, at.UTC().Format(time.RFC3339Nano))
		}
	}
	for key, text := range map[string]string{"stream": q.Stream, "q": q.Q} {
		if text != "" {
			values.Set(key, text)
		}
	}
	for key, set := range map[string]bool{"regex": q.Regexp, "ignore_case": q.IgnoreCase} {
		if set {
			values.Set(key, "true")
		}
	}
	return values
}

// logPath is where the log of a job or of a step is.
func logPath(id, step string, more ...string) string {
	parts := []string{"api", "jobs", id}
	if step != "" {
		parts = append(parts, "steps", step)
	}
	return path(append(append(parts, "logs"), more...)...)
}

// Logs returns lines of a job's log, as many as fit into one answer.
func (c *Client) Logs(ctx context.Context, id string, q LogQuery) (logs api.Logs, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodGet, path: logPath(id, q.Step), query: waitQuery(q.values(), q.Wait), timeout: callTimeout + q.Wait,
	}, &logs)
	return logs, err
}

// SearchLogs hands on the hits of a search in a job's log as they are found, in order, until all of it was looked at: a search that
// the server ends before is gone on with. Of q, Limit, Tail and Wait mean nothing. What hit returns ends the search.
func (c *Client) SearchLogs(ctx context.Context, id string, q LogQuery, hit func(api.LogFound) error) error {
	q.Limit, q.Tail = mostHits, 0
	for {
		var end api.LogFound
		err := c.withToken(ctx, func(token string) (err error) {
			end, err = c.searchLogs(ctx, id, q, token, hit)
			return err
		})
		switch {
		case err != nil:
			return err
		case end.Error != "":
			return fmt.Errorf("the search ended at line %d: %s", end.Next, end.Error)
		case end.Complete != nil && *end.Complete:
			return nil
		case end.Next <= q.From:
			return errors.New("the search does not go on: is the address right?")
		}
		q.From = end.Next
	}
}

// mostHits is how many hits the server gives at once.
const mostHits = 10_000

func (c *Client) searchLogs(ctx context.Context, id string, q LogQuery, token string, hit func(api.LogFound) error) (end api.LogFound, err error) {
	query := q.values()
	if q.Step != "" {
		query.Set("step", q.Step)
	}
	answer, err := c.stream(ctx, request{method: http.MethodGet, path: logPath(id, "", "search"), query: query}, token)
	if err != nil {
		return end, err
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, int(c.limit))
	for lines.Scan() {
		var found api.LogFound
		if err := json.Unmarshal(lines.Bytes(), &found); err != nil {
			return end, fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
		}
		switch {
		case found.Done:
			return found, nil
		case found.Line > 0:
			if err := hit(found); err != nil {
				return end, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return end, fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	return end, fmt.Errorf("read the answer of %s: %w", c.base.Host, io.ErrUnexpectedEOF)
}

// DownloadLogs writes a job's log to w, whatever its length: as it was printed, or as it is stored. Of q, Tail and Wait mean
// nothing. After an error part of it may be written.
func (c *Client) DownloadLogs(ctx context.Context, id string, q LogQuery, stored bool, w io.Writer) error {
	q.Tail = 0
	query := q.values()
	if stored {
		query.Set("format", "jsonl")
	}
	var answer *http.Response
	err := c.withToken(ctx, func(token string) (err error) {
		answer, err = c.stream(ctx, request{ //nolint:bodyclose // below
			method: http.MethodGet, path: logPath(id, q.Step, "raw"), query: query, header: http.Header{"Accept-Encoding": {"gzip"}},
		}, token)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
		}
	}
	if _, err := io.Copy(w, body); err != nil { //nolint:gosec // a log may have any length
		return fmt.Errorf("download the log: %w", err)
	}
	return nil
}
