package httpapi

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core/joblog"
)

// longestName is how much of a step's name is in that of a file.
const longestName = 60

// downloadLogs sends a log of any length: as it was printed, or as it is stored.
func (a *API) downloadLogs(c *fiber.Ctx) error {
	id, step, err := a.loggedJob(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	formats := choices(q, "format", "text", "jsonl")
	printing := joblog.Printing{Times: q.flag("timestamps"), Steps: q.flag("steps")}
	lines := q.selectLines(step)
	if len(formats) > 1 {
		q.refuse("format has to be text or jsonl")
	}
	if q.err != nil {
		return q.err
	}
	stored := len(formats) == 1 && formats[0] == "jsonl"
	media, extension := fiber.MIMETextPlainCharsetUTF8, ".log"
	if stored {
		media, extension = mimeNDJSON, ".jsonl"
	}
	zipped := mayGzip(c)
	v, err := a.Logs.View(requestContext(c), id)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, media)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+fileName("job-"+id.String(), step)+extension+`"`)
	if zipped {
		c.Set(fiber.HeaderContentEncoding, "gzip")
	}
	return a.send(c, func() { _ = v.Close() }, func(w io.Writer) error { // only read from
		return packed(w, zipped, func(w io.Writer) error {
			if stored {
				_, err := v.Copy(context.Background(), w, lines)
				return err
			}
			return v.Print(context.Background(), w, lines, printing)
		})
	})
}

// packed hands a buffered writer on, which compresses if it is to.
func packed(to io.Writer, zipped bool, write func(io.Writer) error) error {
	buffer := bufio.NewWriterSize(to, 64*kib)
	if !zipped {
		return errors.Join(write(buffer), buffer.Flush())
	}
	zip, err := gzip.NewWriterLevel(buffer, gzip.BestSpeed)
	if err != nil {
		return err
	}
	// Lines are short, and each write costs.
	lines := bufio.NewWriterSize(zip, 64*kib)
	if err := write(lines); err != nil {
		return err
	}
	return errors.Join(lines.Flush(), zip.Close(), buffer.Flush())
}

// fileName is a name that is harmless wherever it is used.
func fileName(job, step string) string {
	if step == "" {
		return job
	}
	step = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, step)
	return job + "-" + step[:min(len(step), longestName)]
}
