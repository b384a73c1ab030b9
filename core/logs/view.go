package logs

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// errStale says that a log is not where it was.
var errStale = errors.New("the log is elsewhere now")

// View returns the log of a job as it is now. A job without one has an empty one. While a replica that keeps a part of it does not
// answer, the error has core.CodeUnavailable; once that replica counts as gone, each line that is known to be there is replaced by
// one that says so. The caller closes it.
func (l *Logs) View(ctx context.Context, job uuid.UUID) (*joblog.View, error) {
	rest, err := l.Rest(ctx, job)
	return rest.View, err
}

// Rest is the log of a job as the replicas have it. The caller closes the view.
type Rest struct {
	View    *joblog.View
	Before  int64 // lines in front of it that no replica has any more, because the archive has them
	Here    bool  // this replica has all of it
	Settled bool  // all of it can be read, and no line of it will change its number
}

// Rest is View for one who has the archive as well.
func (l *Logs) Rest(ctx context.Context, job uuid.UUID) (Rest, error) {
	views, log, err := l.parts(ctx, job)
	if err != nil {
		return Rest{}, err
	}
	rest := Rest{View: joblog.Join(views...), Here: true, Settled: true}
	if log != nil {
		rest.Before = log.dropped()
	}
	if rest.Before == 0 {
		next := joblog.Start{Line: 1}
		for _, part := range views {
			next.Version = part.Version
			rest.View.Starts = append(rest.View.Starts, next)
			next.Line += part.Index.Lines
			next.Offset += part.Index.Size
		}
	}
	if log == nil {
		return rest, nil
	}
	for i, segment := range log.segments[log.kept():] {
		rest.Here = rest.Here && segment.Replica == l.ID
		last := log.kept()+i == len(log.segments)-1
		rest.Settled = rest.Settled && (last || segment.Lines >= 0) && (!segment.Gone || segment.Replica == l.ID)
	}
	return rest, nil
}

// Forget has the database asked anew where a log is.
func (l *Logs) Forget(job uuid.UUID) { l.known.forget(job) }

// parts returns the views of the segments that were not dropped, and where they are; nil: there are none, and there is one view of
// what else is here.
func (l *Logs) parts(ctx context.Context, job uuid.UUID) ([]*joblog.View, *knownLog, error) {
	log, fresh := l.known.get(job), false
	for range tries {
		if log == nil || fresh || log.gone() {
			var err error
			if log, err = l.ask(ctx, job); err != nil {
				return nil, nil, err
			}
			if log == nil {
				v, err := l.Local.View(ctx, job)
				return []*joblog.View{v}, nil, err
			}
			fresh = true
		}
		views, err := l.partsOf(ctx, log, fresh)
		if !errors.Is(err, errStale) {
			return views, log, err
		}
		fresh = true
	}
	return nil, nil, errMoving
}

// partsOf fails with errStale if the segments may not be all, unless they are fresh from the database.
func (l *Logs) partsOf(ctx context.Context, log *knownLog, fresh bool) (views []*joblog.View, err error) {
	defer func() {
		if err != nil {
			for _, v := range views {
				err = errors.Join(err, v.Close())
			}
			views = nil
		}
	}()
	kept := log.kept()
	for i, segment := range log.segments {
		if i < kept {
			continue
		}
		if segment.Gone && segment.Replica != l.ID { // it would take long to find that it does not answer
			views = append(views, missing(segment, l.linesOf(log, i)))
			continue
		}
		v, last, err := l.part(ctx, segment)
		if err == nil && log.life.Err() != nil {
			err = errStale // it may just have been dropped
		}
		end := i == len(log.segments)-1
		switch {
		case moved(err) || err == nil && end && !last && !fresh:
			err = errStale
		case core.ErrorCode(err) == core.CodeUnavailable && !fresh:
			err = errStale // what is known of the replica may not be true any more
		}
		if err != nil {
			if v != nil {
				err = errors.Join(err, v.Close())
			}
			return views, err
		}
		views = append(views, v)
	}
	return views, nil
}

// part returns a segment, and whether the log certainly ends with it.
func (l *Logs) part(ctx context.Context, segment core.LogSegment) (v *joblog.View, last bool, err error) {
	if segment.Replica == l.ID {
		last = !segment.Superseded && l.lease.holds() // before it is read
		v, err = l.Local.Of(idOf(segment)).View(ctx)
		return v, last, err
	}
	r := l.remote.get(l.Peers, segment)
	return r.view(ctx)
}

// linesOf is how many lines a segment has, as far as that is known.
func (l *Logs) linesOf(log *knownLog, i int) int64 {
	switch segment := log.segments[i]; {
	case segment.Lines >= 0:
		return segment.Lines
	case i+1 < len(log.segments):
		return log.segments[i+1].First - segment.First
	default:
		return max(l.remote.lines(idOf(segment)), 1)
	}
}

// again is how long it takes until something is looked at again of which nobody tells.
const again = time.Second

// Wait returns when the log may have lines after the given number, when ctx ends or when the store is closed.
func (l *Logs) Wait(ctx context.Context, job uuid.UUID, after int64) error {
	for {
		more, err := l.wait(ctx, job, after)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case core.ErrorCode(err) == core.CodeUnavailable:
			pause(ctx, again)
			_, err = l.ask(ctx, job)
			if err != nil && ctx.Err() == nil {
				return err
			}
		case err != nil || more:
			return err
		}
	}
}

func (l *Logs) wait(ctx context.Context, job uuid.UUID, after int64) (more bool, err error) {
	log, err := l.where(ctx, job)
	if err != nil {
		return false, err
	}
	if log == nil { // lines that come here are heard of; for others it is looked again
		life, cancel := context.WithCancel(ctx)
		defer cancel()
		if !l.lease.alone() {
			life, cancel = context.WithTimeout(ctx, again)
			defer cancel()
		}
		err := l.Local.Wait(life, job, after)
		if life.Err() != nil {
			return false, nil
		}
		return true, err
	}
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(log.life, cancel)() //nolint:contextcheck // it is what is known that ends
	last := log.last()
	if last.N > 1 {
		views, now, err := l.parts(ctx, job)
		if err != nil {
			return false, err
		}
		lines := log.dropped()
		for _, v := range views {
			lines += v.Index.Lines
			err = errors.Join(err, v.Close())
		}
		if err != nil || lines > after || now != log {
			return lines > after, err
		}
		after -= lines - views[len(views)-1].Index.Lines
	}
	if last.Replica == l.ID {
		err = l.Local.Of(idOf(last)).Wait(life, after)
	} else {
		err = l.remote.get(l.Peers, last).wait(life, after)
	}
	if life.Err() != nil && ctx.Err() == nil {
		return false, nil // it is elsewhere now
	}
	return true, err
}

// Position says how far the log of an attempt has come, see [joblog.SegmentLog.Position]. Of an attempt whose lines are with
// replicas that are gone nothing is known: all of it may come again.
func (l *Logs) Position(ctx context.Context, job uuid.UUID, step string, number int) (joblog.Position, error) {
	log, err := l.ask(ctx, job)
	if err != nil {
		return joblog.Position{}, err
	}
	if log == nil || len(log.segments) == 1 && log.last().Replica == l.ID {
		return l.Local.Position(ctx, job, step, number)
	}
	var p joblog.Position
	for i := len(log.segments) - 1; i >= 0 && p.Last == 0; i-- {
		segment := log.segments[i]
		next, err := l.next(ctx, segment, step, number)
		if core.ErrorCode(err) == core.CodeUnavailable && segment.Gone {
			continue
		}
		if err != nil {
			return joblog.Position{}, err
		}
		if next > 1 {
			before, err := l.before(ctx, segment)
			if err != nil {
				return joblog.Position{}, err
			}
			p.Last = before[attempt{step, number}] + next - 1
		}
	}
	if p.Last == 0 {
		return p, nil
	}
	v, err := l.View(ctx, job)
	if err != nil {
		return joblog.Position{}, err
	}
	defer func() { _ = v.Close() }() // only read from
	p.Known, err = v.Known(ctx, step, number)
	return p, err
}

func (l *Logs) next(ctx context.Context, segment core.LogSegment, step string, number int) (int64, error) {
	if segment.Replica != l.ID {
		if segment.URL == "" {
			return 0, unreachable(segment)
		}
		return l.Peers.Next(ctx, segment, step, number)
	}
	return l.NextIn(ctx, idOf(segment), step, number)
}
