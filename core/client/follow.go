package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	// silenceLimit is how long a stream may bring nothing: the server pings every 30 s.
	silenceLimit = 90 * time.Second
	// reconnectPatience is how long a stream that was cut is tried again without a success.
	reconnectPatience = 5 * time.Minute
	// Between attempts; doubled from the one to the other.
	firstReconnect   = 200 * time.Millisecond
	longestReconnect = 5 * time.Second
)

// Follow hands on the lines of a job's log from q.From on, whole lines in storage format, as they come, until the job has ended
// and its last line was handed on. A stream that is cut is opened again where it was, so that every line comes once, in order; that
// it cannot be opened at first, or is refused later, is an error, and so is what lines returns. Of q, Step and From count.
func (c *Client) Follow(ctx context.Context, id string, q LogQuery, lines func(string) error) error {
	f := &follower{client: c, job: id, step: q.Step, from: max(q.From, 1), hand: lines}
	cutAt, pause := time.Time{}, firstReconnect
	for {
		err := c.withToken(ctx, func(token string) error { return f.stream(ctx, token) })
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case f.handErr != nil:
			return f.handErr
		case !f.connected || refusal(err):
			return err
		}
		now := time.Now()
		if f.progress {
			f.progress, cutAt, pause = false, time.Time{}, firstReconnect
		}
		if cutAt.IsZero() {
			cutAt = now
		} else if now.Sub(cutAt) > reconnectPatience {
			return err
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil { //nolint:gosec // no secret
			return err
		}
		pause = min(2*pause, longestReconnect)
	}
}

// refusal tells that the server does not want to, which it would say again.
func refusal(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Status < http.StatusInternalServerError && answer.Status != http.StatusTooManyRequests
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// follower is how far a log has been followed. Lines of all steps are counted from the first; those of one step have numbers that
// only the server knows, so that they are asked for again, and those that came before are passed over.
type follower struct {
	client *Client
	job    string
	step   string
	from   int64 // number of the next line; of the first one if step is given
	passed int64 // lines of the step that were handed on

	hand      func(string) error
	handErr   error
	connected bool // at least once
	progress  bool // lines have come, or a connection held for a while, since that was asked for
}

// stream opens the stream and hands on what comes, until it is closed; nil: the job has ended.
func (f *follower) stream(ctx context.Context, token string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(silenceLimit, cancel)
	defer silence.Stop()
	conn, err := f.dial(ctx, token, func() { silence.Reset(silenceLimit) })
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	f.connected = true
	opened := time.Now()
	conn.SetReadLimit(f.client.limit)
	skip := f.passed
	for {
		silence.Reset(silenceLimit)
		_, frame, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return nil
		}
		if err != nil {
			f.progress = f.progress || time.Since(opened) > longestReconnect
			return fmt.Errorf("the log stream of %s was cut: %w", f.client.base.Host, err)
		}
		silence.Stop() // whoever takes the lines may take long
		if err := f.take(string(frame), &skip); err != nil {
			return err
		}
	}
}

// take hands on the lines of a frame but for those that are to be skipped.
func (f *follower) take(lines string, skip *int64) error {
	for ; *skip > 0 && lines != ""; *skip-- {
		_, lines, _ = strings.Cut(lines, "\n")
	}
	if lines == "" {
		return nil
	}
	if n := int64(strings.Count(lines, "\n")); f.step == "" {
		f.from += n
	} else {
		f.passed += n
	}
	f.progress = true
	f.handErr = f.hand(lines)
	return f.handErr
}

// dial opens the stream; alive is called when the server shows that it is there.
func (f *follower) dial(ctx context.Context, token string, alive func()) (*websocket.Conn, error) {
	c := f.client
	query := url.Values{"from": {strconv.FormatInt(f.from, 10)}}
	if f.step != "" {
		query.Set("step", f.step)
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout) // of the handshake; the connection outlives it
	defer cancel()
	target := strings.TrimSuffix(c.base.String(), "/") + path("api", "jobs", f.job, "logs", "stream") + "?" + query.Encode()
	conn, response, err := websocket.Dial(ctx, target, &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: header,
		OnPingReceived: func(context.Context, []byte) bool {
			alive()
			return true
		},
	})
	switch {
	case err == nil:
		return conn, nil
	case response == nil || response.Body == nil:
		return nil, describe(c.base.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, readErr := io.ReadAll(response.Body)
	if readErr != nil {
		return nil, describe(c.base.Host, readErr)
	}
	if response.StatusCode < http.StatusBadRequest { // an answer, but no WebSocket
		return nil, fmt.Errorf("%s does not open a log stream: %w", c.base.Host, err)
	}
	return nil, readError(response, data)
}
