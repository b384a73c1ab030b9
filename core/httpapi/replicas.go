package httpapi

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logs"
)

// Segments are the parts of logs that this replica keeps for all of them; see package logs.
type Segments interface {
	AppendTo(ctx context.Context, id joblog.Segment, step string, attempt int, first int64, ndjson []byte) error
	EventTo(ctx context.Context, id joblog.Segment, text string) error
	Index(ctx context.Context, id joblog.Segment, known logs.IndexQuery, wait time.Duration) (logs.IndexAnswer, error)
	ReadAt(ctx context.Context, id joblog.Segment, version uint64, p []byte, at int64) error
	NextIn(ctx context.Context, id joblog.Segment, step string, attempt int) (int64, error)
}

// Guard tells why a request is not one of another replica to this one.
type Guard interface {
	Check(method, uri string, header func(name string) string, body []byte) error
}

const internalPrefix = "/internal/"

// internalRoutes are for the other replicas. They are not part of the API that is described.
func (a *API) internalRoutes() []route {
	return []route{
		{"POST", "/internal/logs/:id/:n/lines", "appendToSegment", "Add lines to a segment", forReplica, nil, "", 8 * mib, nil, a.appendToSegment},
		{"POST", "/internal/logs/:id/:n/events", "addSegmentEvent", "Add a line of the server to a segment", forReplica, nil, "", mib, nil, a.addSegmentEvent},
		{"GET", "/internal/logs/:id/:n/index", "getSegmentIndex", "What is new in the index of a segment", forReplica, nil, nil, 0, nil, a.getSegmentIndex},
		{"GET", "/internal/logs/:id/:n/bytes", "readSegment", "A part of a segment", forReplica, nil, nil, 0, nil, a.readSegment},
		{"GET", "/internal/logs/:id/:n/next", "getSegmentPosition", "How far the lines of an attempt go in a segment", forReplica, nil, nil, 0, nil, a.getSegmentPosition},
	}
}

// authorizeReplica lets in the other replicas, whom nobody else's token makes one.
func (a *API) authorizeReplica(c *fiber.Ctx) error {
	if a.Replicas == nil {
		return core.Errorf(core.CodeForbidden, "not_a_replica", "There are no other replicas")
	}
	uri := c.OriginalURL()
	if at := strings.Index(uri, internalPrefix); at > 0 { // behind a proxy that leaves its own path there
		uri = uri[at:]
	}
	return a.Replicas.Check(c.Method(), uri, func(name string) string { return c.Get(name) }, c.Request().Body())
}

func segmentParam(c *fiber.Ctx) (joblog.Segment, error) {
	job, err := uuidParam(c, "job")
	if err != nil {
		return joblog.Segment{}, err
	}
	n, err := strconv.Atoi(c.Params("n"))
	if err != nil || n < 1 {
		return joblog.Segment{}, invalid("A segment has a number from 1, and not %.20q", c.Params("n"))
	}
	return joblog.Segment{Job: job, N: n}, nil
}

// version reads which state of a segment is meant.
func (q *query) version() uint64 {
	n, err := strconv.ParseUint(q.text("version"), 10, 64)
	if err != nil {
		q.refuse("version is not a number")
	}
	return n
}

func (a *API) appendToSegment(c *fiber.Ctx) error {
	id, err := segmentParam(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	step, attempt, first := q.text("step"), q.number("attempt", 1, 1, math.MaxInt32), q.number("first", 0, 0, math.MaxInt64)
	if q.err != nil {
		return q.err
	}
	return a.Segments.AppendTo(requestContext(c), id, step, int(attempt), first, c.Request().Body())
}

func (a *API) addSegmentEvent(c *fiber.Ctx) error {
	id, err := segmentParam(c)
	if err != nil {
		return err
	}
	return a.Segments.EventTo(requestContext(c), id, string(c.Request().Body()))
}

func (a *API) getSegmentIndex(c *fiber.Ctx) error {
	id, err := segmentParam(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	version := q.version()
	known := logs.IndexQuery{
		Version: version, Lines: q.number("lines", 0, 0, math.MaxInt64),
		Blocks: int(q.number("blocks", 0, 0, math.MaxInt32)), Steps: int(q.number("steps", 0, 0, math.MaxInt32)),
	}
	wait := q.seconds("wait_secs")
	if q.err != nil {
		return q.err
	}
	answer, err := a.Segments.Index(a.polls, id, known, wait)
	if err != nil {
		return err
	}
	return c.JSON(answer)
}

func (a *API) readSegment(c *fiber.Ctx) error {
	id, err := segmentParam(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	version := q.version()
	offset, length := q.number("offset", 0, 0, math.MaxInt64/2), q.number("length", 0, 0, mib)
	if q.err != nil {
		return q.err
	}
	part := make([]byte, length)
	if err := a.Segments.ReadAt(requestContext(c), id, version, part, offset); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	return c.Send(part)
}

func (a *API) getSegmentPosition(c *fiber.Ctx) error {
	id, err := segmentParam(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	step, attempt := q.text("step"), q.number("attempt", 1, 1, math.MaxInt32)
	if q.err != nil {
		return q.err
	}
	next, err := a.Segments.NextIn(requestContext(c), id, step, int(attempt))
	if err != nil {
		return err
	}
	return c.JSON(next)
}
