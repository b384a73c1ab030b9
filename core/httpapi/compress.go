package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// worthGzip is from how many bytes on an answer is compressed.
const worthGzip = 4 * kib

// mayGzip tells whether the client takes gzip; the answer then depends on that.
func mayGzip(c *fiber.Ctx) bool {
	c.Vary(fiber.HeaderAcceptEncoding)
	return acceptsGzip(c.Get(fiber.HeaderAcceptEncoding))
}

func acceptsGzip(header string) bool {
	others := false
	for item := range strings.SplitSeq(header, ",") {
		coding, parameter, _ := strings.Cut(item, ";")
		quality := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
			if q, err := strconv.ParseFloat(text, 64); err == nil {
				quality = q
			}
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return quality > 0
		case "*":
			others = quality > 0
		}
	}
	return others
}

// sendJSON answers with JSON, compressed if that is worth it.
func sendJSON(c *fiber.Ctx, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	if gzips := mayGzip(c); !gzips || len(data) < worthGzip {
		return c.Send(data)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("compress answer: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("compress answer: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("compress answer: %w", err)
	}
	c.Set(fiber.HeaderContentEncoding, "gzip")
	return c.Send(packed.Bytes())
}
