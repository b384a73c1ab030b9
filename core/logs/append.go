package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// ReasonMoved is that of the error of a replica that is asked for a segment which is not its own and the last one of the log.
const ReasonMoved = "log_moved"

var errMoved = &core.Error{Code: core.CodeConflict, Reason: ReasonMoved, Message: "The log goes on at another replica"}

// errMoving is told to who sends lines or reads them: it goes on in a moment.
var errMoving = &core.Error{Code: core.CodeUnavailable, Reason: "log_unavailable", Message: "The log is being moved: try again in a moment"}

func moved(err error) bool {
	known, ok := errors.AsType[*core.Error](err)
	return ok && known.Reason == ReasonMoved
}

// lines are what is to be appended: lines of an attempt, or one that the server says.
type lines struct {
	step    string
	attempt int
	first   int64
	ndjson  []byte
	event   string
}

// Append stores lines of an attempt of a step, see [joblog.SegmentLog.Append], at the replica that keeps the end of the log. While
// that one does not answer, the error has core.CodeUnavailable; once it is gone for long the log goes on here.
func (l *Logs) Append(ctx context.Context, job uuid.UUID, step string, attempt int, first int64, ndjson []byte) error {
	return l.append(ctx, job, lines{step: step, attempt: attempt, first: first, ndjson: ndjson})
}

// Event stores a line that the server says about a job.
func (l *Logs) Event(ctx context.Context, job uuid.UUID, text string) error {
	return l.append(ctx, job, lines{event: text})
}

// tries is how often it is looked again where a log is, before the caller has to.
const tries = 5

func (l *Logs) append(ctx context.Context, job uuid.UUID, b lines) error {
	log, err := l.open(ctx, job)
	for range tries {
		if err != nil {
			return err
		}
		last := log.last()
		var failed error
		if last.Replica == l.ID {
			failed = l.appendHere(ctx, log, b)
		} else {
			failed = l.hand(ctx, last, b)
		}
		if failed == nil || !moved(failed) && core.ErrorCode(failed) != core.CodeUnavailable {
			return failed
		}
		if last.Replica == l.ID && !moved(failed) {
			return failed
		}
		if log, err = l.ask(ctx, job); err != nil {
			return err
		}
		if log == nil {
			return core.Errorf(core.CodeNotFound, "", "Job not found")
		}
		if now := log.last(); !moved(failed) && now.N == last.N && now.Replica == last.Replica {
			if !now.Gone {
				return failed
			}
			log, err = l.takeOver(ctx, now)
		}
	}
	return errors.Join(err, errMoving)
}

// AppendTo is Append from another replica: to a segment that it believes to be the last one, and to be this replica's.
func (l *Logs) AppendTo(ctx context.Context, id joblog.Segment, step string, attempt int, first int64, ndjson []byte) error {
	return l.appendTo(ctx, id, lines{step: step, attempt: attempt, first: first, ndjson: ndjson})
}

// EventTo is Event from another replica, see AppendTo.
func (l *Logs) EventTo(ctx context.Context, id joblog.Segment, text string) error {
	return l.appendTo(ctx, id, lines{event: text})
}

func (l *Logs) appendTo(ctx context.Context, id joblog.Segment, b lines) error {
	log, err := l.where(ctx, id.Job)
	if err != nil {
		return err
	}
	if log == nil || log.last().Replica != l.ID || log.last().N != id.N {
		return errMoved
	}
	return l.appendHere(ctx, log, b)
}

// takeOver has the log go on here behind a segment whose replica is gone, if it still is.
func (l *Logs) takeOver(ctx context.Context, last core.LogSegment) (*knownLog, error) {
	first := last.First + max(l.remote.lines(idOf(last)), 1)
	return l.known.learn(ctx, last.Job, func(ctx context.Context) ([]core.LogSegment, error) {
		return l.Registry.TakeOverLog(ctx, last.Job, last.N, l.ID, first)
	})
}

func idOf(s core.LogSegment) joblog.Segment { return joblog.Segment{Job: s.Job, N: s.N} }

// appendHere appends to this replica's segment at the end of a log.
func (l *Logs) appendHere(ctx context.Context, log *knownLog, b lines) error {
	segment := log.last()
	if segment.N > 1 {
		if log.segments[len(log.segments)-2].Replica != l.ID {
			if err := l.begin(ctx, segment); err != nil {
				return err
			}
		}
		if b.first > 0 && len(b.ndjson) > 0 {
			before, err := l.linesBefore(ctx, log, b)
			if err != nil {
				return err
			}
			for ; b.first <= before && len(b.ndjson) > 0; b.first++ {
				b.ndjson = b.ndjson[bytes.IndexByte(b.ndjson, '\n')+1:]
			}
			if len(b.ndjson) == 0 {
				return nil
			}
			b.first -= before
		}
	}
	l.writing.RLock()
	defer l.writing.RUnlock()
	if l.known.get(segment.Job) != log {
		return errMoved // or it is only not remembered any more
	}
	if !l.lease.holds() {
		return errLapsed
	}
	file := l.Local.Of(idOf(segment))
	var err error
	if b.event != "" {
		err = file.Event(ctx, b.event)
	} else {
		err = file.Append(ctx, b.step, b.attempt, b.first, b.ndjson)
	}
	if err == nil && !l.lease.holds() {
		return errLapsed // they come again, here or elsewhere
	}
	return err
}

var errLapsed = &core.Error{
	Code: core.CodeUnavailable, Reason: "log_unavailable",
	Message: "This replica has not reached the database for so long that another one may have taken over the log: try again",
}

// linesBefore returns how many lines of an attempt are in segments before the last one of a log, which is this replica's.
func (l *Logs) linesBefore(ctx context.Context, log *knownLog, b lines) (int64, error) {
	key := attempt{b.step, b.attempt}
	log.mu.Lock()
	defer log.mu.Unlock()
	if first, ok := log.starts[key]; ok {
		return first - 1, nil
	}
	last := log.last()
	first, err := l.Registry.StartLog(ctx, last.Job, last.N, core.LogStart{Step: b.step, Attempt: b.attempt, First: b.first})
	if err != nil {
		return 0, err
	}
	log.starts[key] = first
	return first - 1, nil
}

// begin says at the start of a segment behind one of another replica why there is one.
func (l *Logs) begin(ctx context.Context, segment core.LogSegment) error {
	l.opening.Lock()
	defer l.opening.Unlock()
	file := l.Local.Of(idOf(segment))
	v, err := file.View(ctx)
	if err != nil {
		return err
	}
	empty := v.Index.Lines == 0
	if err := v.Close(); err != nil || !empty {
		return err
	}
	return file.Event(ctx, fmt.Sprintf("[logs] The replica that kept this log is gone; the log goes on at replica %s. "+
		"Lines may be missing before this one until the other replica is back", l.ID))
}
