package httpapi

import (
	"math"
	"mime"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
)

const mimeNDJSON = "application/x-ndjson"

// appendLogs stores lines of a step. In the NDJSON form the bytes are stored as they came, once they are checked.
func (a *API) appendLogs(c *fiber.Ctx) error {
	media, _, _ := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if media != mimeNDJSON {
		return a.appendLogPush(c)
	}
	q := &query{c: c}
	step, first := q.text("step"), q.number("first", 0, 0, math.MaxInt64)
	if q.err != nil {
		return q.err
	}
	return a.append(c, step, first, func(int) ([]byte, error) { return c.Request().Body(), nil })
}

func (a *API) appendLogPush(c *fiber.Ctx) error {
	var push api.LogPush
	if err := decode(c, &push, false); err != nil {
		return err
	}
	return a.append(c, push.StepName, push.First, func(attempt int) ([]byte, error) {
		var lines []byte
		for i, line := range push.Lines {
			if line.Stream != "stdout" && line.Stream != "stderr" {
				return nil, invalid("lines[%d].stream has to be stdout or stderr, and is %q", i, line.Stream)
			}
			if _, err := time.Parse(time.RFC3339, line.TS); err != nil {
				return nil, invalid("lines[%d].ts has to be a time like 2026-01-02T15:04:05Z, and is %q", i, line.TS)
			}
			text := strings.ReplaceAll(strings.ToValidUTF8(line.Line, "\uFFFD"), "\n", "\u2424")
			lines = joblog.AppendLine(lines, push.StepName, attempt, line.Stream, line.TS, text)
		}
		return lines, nil
	})
}

func (a *API) append(c *fiber.Ctx, step string, first int64, lines func(attempt int) ([]byte, error)) error {
	lease, err := a.lease(c, step)
	if err != nil {
		return err
	}
	ndjson, err := lines(lease.Attempt)
	if err != nil {
		return err
	}
	if len(ndjson) > 0 {
		if err := a.Logs.Append(requestContext(c), lease.JobID, lease.StepName, lease.Attempt, first, ndjson); err != nil {
			return err
		}
	}
	return c.JSON(api.Status{Status: "ok"})
}
