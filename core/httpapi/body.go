package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
)

// body is what a goroutine writes of an answer while it is sent. Whoever sends it closes it, which waits for the goroutine.
type body struct {
	*io.PipeReader
	conn  net.Conn
	stall time.Duration
	done  chan struct{}
}

// Read gets what is sent next, for which the client has its time.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.PipeReader.Read(p)
	_ = b.conn.SetWriteDeadline(time.Now().Add(b.stall))
	return n, err
}

// Close ends the goroutine: what it writes fails.
func (b *body) Close() error {
	err := b.PipeReader.Close()
	<-b.done
	return err
}

// send answers with what write writes, whose error cuts the answer off, so that nobody takes it for whole; release is called in any
// case. write must not touch the request, whose handler has returned by then. The connection is closed afterwards.
func (a *API) send(c *fiber.Ctx, release func(), write func(w io.Writer) error) error {
	c.Context().Response.SetConnectionClose() // it has a deadline that no other answer is to have
	if c.Method() == fiber.MethodHead {
		release()
		c.Context().Response.SkipBody = true
		return nil
	}
	c.Context().Response.ImmediateHeaderFlush = true
	reader, writer := io.Pipe()
	b := &body{PipeReader: reader, conn: c.Context().Conn(), stall: a.Streams.Stall, done: make(chan struct{})}
	id, route := requestID(c), c.Route().Path
	go func() {
		defer close(b.done)
		defer release()
		err := caught(func() error { return write(writer) })
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			a.Logger.Error("answer was cut off", slog.String("request_id", id), slog.String("route", route), slog.Any("error", err))
		}
		_ = writer.CloseWithError(err) // never fails
	}()
	c.Context().Response.SetBodyStream(b, -1)
	return nil
}

// caught turns a panic into an error.
func caught(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}
