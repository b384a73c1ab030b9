package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
)

const (
	// searchTime and searchBytes bound a search, searchPage the time for a page of what a search finds, and searchWait that to wait
	// for others.
	searchTime  = time.Minute
	searchBytes = 64 * mib
	searchPage  = 5 * time.Second
	searchWait  = 2 * time.Second
	// defaultHits and mostHits are how many lines are found.
	defaultHits, mostHits = 1000, 10_000
	// hitsPause is how long a hit waits for others to be sent with, and searchPulse how often is told how far the search is.
	hitsPause   = 50 * time.Millisecond
	searchPulse = 500 * time.Millisecond
)

// searchLogs sends what it finds in a log while it looks: a JSON object a line, see [api.LogFound].
func (a *API) searchLogs(c *fiber.Ctx) error {
	id, _, err := a.loggedJob(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	lines := q.selectLines(q.text("step"))
	lines.Limit, lines.Bytes, lines.Within = q.number("limit", defaultHits, 1, mostHits), searchBytes, searchTime
	if lines.Q == "" {
		q.refuse("q has to be what to search for")
	}
	if q.err != nil {
		return q.err
	}
	leave, err := a.searches.enter(c, searchWait)
	if err != nil {
		return err
	}
	v, err := a.Logs.View(requestContext(c), id)
	if err != nil {
		leave()
		return err
	}
	c.Set(fiber.HeaderContentType, mimeNDJSON)
	c.Set("X-Accel-Buffering", "no") // for proxies that would hold back what comes slowly
	s := &logSearch{api: a, view: v, query: lines, request: requestID(c), there: connected(c.Context().Conn())}
	release := func() {
		_ = v.Close() // only read from
		leave()
	}
	return a.send(c, release, s.run)
}

// logSearch is a search that runs.
type logSearch struct {
	api     *API
	view    *joblog.View
	query   joblog.Query
	request string
	there   func() bool // the client is

	w       *bufio.Writer
	encode  *json.Encoder
	flushed time.Time
	told    time.Time // how far the search is
}

// errGone ends a search whose client is gone.
var errGone = fmt.Errorf("the client is gone: %w", io.ErrClosedPipe)

func (s *logSearch) run(to io.Writer) error {
	s.w = bufio.NewWriterSize(to, 16*kib)
	s.encode = json.NewEncoder(s.w)
	s.encode.SetEscapeHTML(false)
	s.told = time.Now()
	found, err := s.view.Search(s.api.polls, s.query, s.hit, s.looked)
	end := api.LogFound{Done: true, Next: found.Next, Total: found.Total, Complete: &found.Complete}
	switch {
	case errors.Is(err, io.ErrClosedPipe):
		return err
	case errors.Is(err, context.Canceled):
		end.Error = "The server is stopping: go on from the next line in a moment"
	case err != nil:
		s.api.Logger.Error("log search failed", slog.String("request_id", s.request), slog.Any("error", err))
		end.Error = fmt.Sprintf("Internal error (request %s)", s.request)
	}
	if err := s.encode.Encode(end); err != nil {
		return err
	}
	return s.w.Flush()
}

func (s *logSearch) hit(h *joblog.Hit) error {
	found := api.LogFound{
		Line: h.Number, Step: h.Line.Step, Stream: h.Line.Stream, TS: h.Line.TS, Text: &h.Line.Text, Matches: h.Matches,
	}
	if h.Line.Attempt > 1 {
		found.Attempt = h.Line.Attempt
	}
	if err := s.encode.Encode(found); err != nil {
		return err
	}
	return s.flush()
}

// looked is called with the number of the line to come.
func (s *logSearch) looked(next int64) error {
	if time.Since(s.told) >= searchPulse {
		s.told = time.Now()
		if !s.there() {
			return errGone
		}
		if err := s.encode.Encode(api.LogFound{Next: next, Total: s.view.Index.Lines}); err != nil {
			return err
		}
	}
	return s.flush()
}

// flush sends what there is, if nothing was sent a moment ago.
func (s *logSearch) flush() error {
	if s.w.Buffered() == 0 || time.Since(s.flushed) < hitsPause {
		return nil
	}
	s.flushed = time.Now()
	return s.w.Flush()
}
