package httpapi

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/joblog"
)

const (
	// messageLimit bounds what a viewer sends, which nobody looks at.
	messageLimit = 4 * kib
	// stopGrace is how long a server that stops waits for a viewer to take what is being sent, and again for its good-bye.
	stopGrace = time.Second
	// framePause is how far apart live frames are at least: a job that writes all the time wakes each of its viewers so often, and
	// no more. What comes after a rest is sent at once.
	framePause = 50 * time.Millisecond
	// frameCost is how many bytes more could be sent in the time that a frame takes by itself.
	frameCost = 8 * kib
)

// logStream sends the log of a job to one socket. It has no lines in memory but those of one frame: it reads them from the store
// when the last ones are sent, so that backlog and live lines are one thing, and a slow viewer has what it has not read in the
// file.
type logStream struct {
	api             *API
	job             uuid.UUID
	workspace, task string
	query           joblog.Query   // what comes next
	starts          []joblog.Start // of the parts of the log, when it was read last
	who             auth.Principal

	conn    *websocket.Conn
	raw     net.Conn
	ended   atomic.Bool // the job has
	sent    time.Time   // a frame was
	pinged  time.Time
	checked time.Time
}

// end is how a stream is closed; the zero value: the viewer is gone.
type end struct {
	code   int
	reason string
}

var (
	endOfJob     = end{websocket.CloseNormalClosure, "the job has ended"}
	endOfServer  = end{websocket.CloseGoingAway, "the server stops: go on from the next line with another"}
	endOfUser    = end{websocket.ClosePolicyViolation, "you may not see this any more"}
	endOfRoom    = end{websocket.CloseTryAgainLater, "too many log streams are open"}
	endOfShare   = end{websocket.CloseTryAgainLater, "too many of your log streams are open"}
	endOfFailure = end{websocket.CloseInternalServerErr, "internal error: go on from the next line"}
)

// serve sends until the job has ended, or the viewer or the server is gone. It owns the goroutines that it starts.
func (s *logStream) serve(conn *websocket.Conn) {
	below, err := raw(conn)
	if err != nil {
		s.api.Logger.Error("log stream failed", slog.Any("error", err))
		return
	}
	s.conn, s.raw = conn, below
	ctx, cancel := context.WithCancel(s.api.polls)
	defer cancel()
	s.hear()
	var reading sync.WaitGroup
	gone := make(chan struct{})
	reading.Go(func() {
		defer close(gone)
		defer cancel()
		s.read()
	})
	defer reading.Wait()
	defer func() { _ = s.raw.Close() }()

	if refused := s.api.streams.enter(s.who.User.ID); refused != (end{}) {
		s.close(refused, stopGrace, gone)
		return
	}
	defer s.api.streams.leave(s.who.User.ID)
	// A viewer that takes nothing does not hold up a server that stops.
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(2*stopGrace, func() { _ = s.raw.Close() }) })
	defer stop()
	how := s.send(ctx)
	grace := s.api.Streams.Stall // a slow viewer may have to read a lot until it comes to the end
	if how != endOfJob {
		grace = stopGrace
	}
	s.close(how, grace, gone)
}

// read takes what the viewer sends, none of which means anything, until it is gone or silent.
func (s *logStream) read() {
	s.conn.SetReadLimit(messageLimit)
	s.conn.SetPongHandler(func(string) error {
		s.hear()
		return nil
	})
	for {
		if _, _, err := s.conn.ReadMessage(); err != nil {
			return
		}
		s.hear()
	}
}

// hear notes that the viewer is there.
func (s *logStream) hear() { _ = s.conn.SetReadDeadline(time.Now().Add(s.api.Streams.Ping * 5 / 2)) }

// close says how the stream ends, if the viewer is there, and waits for its good-bye: it has then read everything.
func (s *logStream) close(how end, grace time.Duration, gone <-chan struct{}) {
	if how == (end{}) {
		return
	}
	deadline := time.Now().Add(grace)
	if s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(how.code, how.reason), deadline) != nil {
		return
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	stopping := s.api.polls.Done()
	for {
		select {
		case <-gone:
			return
		case <-timer.C:
			return
		case <-stopping:
			stopping = nil
			timer.Reset(min(time.Until(deadline), stopGrace))
		}
	}
}

// send sends lines as they come.
func (s *logStream) send(ctx context.Context) end {
	running, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		defer cancel()
		if s.api.Engine.WaitJob(running, s.job) == nil {
			s.ended.Store(true)
		}
	})
	defer waiting.Wait()
	defer cancel()
	s.pinged, s.checked = time.Now(), time.Now()
	for {
		if ctx.Err() != nil {
			return s.cut()
		}
		over := s.ended.Load() // before the lines: what is written before the end is then seen
		lost := running.Err() != nil && !over
		page, away, err := s.nextPage(ctx)
		if err != nil {
			return s.failed(ctx, err)
		}
		if away {
			if how := s.upkeep(ctx); how != (end{}) {
				return how
			}
			continue
		}
		if len(page.Logs) > 0 && !s.frame(ctx, page.Logs) {
			return s.cut()
		}
		s.query.From, s.query.At = page.Next, page.At
		if how := s.upkeep(ctx); how != (end{}) {
			return how
		}
		switch {
		case page.Next <= page.Total:
		case over:
			return endOfJob
		case lost && !s.ended.Load(): // nobody would say when the job ends
			return s.failed(ctx, nil)
		default:
			if err := s.wait(running, page.Next-1); err != nil {
				return s.failed(ctx, err)
			}
		}
	}
}

// frame sends lines, and tells whether they could be sent. All streams together are sent only so much: those who follow a log
// must not take the processors from those who write it. What that delays is in the file meanwhile.
func (s *logStream) frame(ctx context.Context, lines []byte) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.api.Streams.Stall))
	err := s.conn.WriteMessage(websocket.TextMessage, bytes.ToValidUTF8(lines, []byte("\uFFFD")))
	if err != nil {
		return false
	}
	_ = s.api.streams.pace.WaitN(ctx, min(len(lines)+frameCost, s.api.streams.pace.Burst())) // send looks at ctx
	s.sent = time.Now()
	return true
}

// wait returns when there are lines after a number, when ctx ends, or when it is time for [logStream.upkeep].
func (s *logStream) wait(ctx context.Context, after int64) error {
	next := s.pinged.Add(s.api.Streams.Ping)
	if check := s.checked.Add(s.api.Streams.Check); check.Before(next) {
		next = check
	}
	waiting, cancel := context.WithDeadline(ctx, next)
	defer cancel()
	if err := s.api.Logs.Wait(waiting, s.job, after); err != nil && waiting.Err() == nil {
		return err
	}
	if pause := framePause - time.Since(s.sent); pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-waiting.Done():
		}
	}
	return nil
}

// upkeep pings the viewer and looks at whether they may still see the job, when it is time to.
func (s *logStream) upkeep(ctx context.Context) end {
	now := time.Now()
	if now.Sub(s.pinged) >= s.api.Streams.Ping {
		s.pinged = now
		if s.conn.WriteControl(websocket.PingMessage, nil, now.Add(s.api.Streams.Stall)) != nil {
			return s.cut()
		}
	}
	if s.api.Auth == nil || now.Sub(s.checked) < s.api.Streams.Check {
		return end{}
	}
	s.checked = now
	who, err := s.api.Auth.Recheck(ctx, s.who)
	switch {
	case core.ErrorCode(err) == core.CodeUnauthenticated:
		return endOfUser
	case err != nil: // who cannot be asked about is not let on
		return s.failed(ctx, err)
	case s.api.powers.of(&who.User).Task(s.workspace, s.task) < access.LevelView:
		return endOfUser
	}
	return end{}
}

// failed is how a stream ends that cannot go on; the log has why, but for what has to do with the end of the server or viewer.
func (s *logStream) failed(ctx context.Context, err error) end {
	if ctx.Err() != nil {
		return s.cut()
	}
	if err != nil {
		s.api.Logger.ErrorContext(ctx, "log stream failed", slog.String("job_id", s.job.String()), slog.Any("error", err))
	}
	return endOfFailure
}

// cut is how a stream ends whose viewer is gone, or whose server stops.
func (s *logStream) cut() end {
	if s.api.polls.Err() != nil {
		return endOfServer
	}
	return end{}
}
