package logs

import (
	"context"
	"errors"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// Index answers another replica about a segment of this one, see Peers.
func (l *Logs) Index(ctx context.Context, id joblog.Segment, known IndexQuery, wait time.Duration) (IndexAnswer, error) {
	log, segment, err := l.own(ctx, id)
	if err != nil {
		return IndexAnswer{}, err
	}
	file := l.Local.Of(id)
	if wait > 0 {
		if err := l.waitHere(ctx, log, file, known, wait); err != nil {
			return IndexAnswer{}, err
		}
	}
	last := id.N == log.last().N && !segment.Superseded && log.life.Err() == nil && l.lease.holds() // before it is read
	v, err := file.View(ctx)
	if err != nil {
		return IndexAnswer{}, err
	}
	answer := IndexAnswer{Version: v.Version, Last: last}
	if v.Version != known.Version {
		known.Blocks, known.Steps = 0, 0
	}
	answer.Delta = v.Index.Since(known.Blocks, known.Steps)
	return answer, v.Close()
}

// waitHere waits for more than is known.
func (l *Logs) waitHere(ctx context.Context, log *knownLog, file joblog.SegmentLog, known IndexQuery, wait time.Duration) error {
	v, err := file.View(ctx)
	if err != nil {
		return err
	}
	changed := v.Version != known.Version
	if err := v.Close(); err != nil || changed {
		return err
	}
	life, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(log.life, cancel)() //nolint:contextcheck // it is what is known that ends
	if err := file.Wait(life, known.Lines); err != nil && life.Err() == nil {
		return err
	}
	return nil
}

// own is a segment of this replica's.
func (l *Logs) own(ctx context.Context, id joblog.Segment) (*knownLog, core.LogSegment, error) {
	log, err := l.where(ctx, id.Job)
	if err != nil {
		return nil, core.LogSegment{}, err
	}
	if log != nil {
		for _, segment := range log.segments {
			if segment.N == id.N && segment.Replica == l.ID && !segment.Dropped {
				return log, segment, nil
			}
		}
	}
	return nil, core.LogSegment{}, errMoved
}

// ReadAt answers another replica, see Peers.
func (l *Logs) ReadAt(ctx context.Context, id joblog.Segment, version uint64, p []byte, at int64) error {
	if _, _, err := l.own(ctx, id); err != nil {
		return err
	}
	v, err := l.Local.Of(id).View(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = v.Close() }() // only read from
	if v.Version != version || at+int64(len(p)) > v.Index.Size {
		return &core.Error{Code: core.CodeUnavailable, Reason: "log_changed", Message: "The log was written anew: try again"}
	}
	if _, err := v.Bytes.ReadAt(p, at); err != nil {
		return errors.Join(errors.New("read log"), err)
	}
	return nil
}

// NextIn answers another replica, see Peers.
func (l *Logs) NextIn(ctx context.Context, id joblog.Segment, step string, number int) (int64, error) {
	attempts, err := l.Local.Of(id).Attempts(ctx)
	if err != nil {
		return 0, err
	}
	for _, a := range attempts {
		if a.Step == step && a.Attempt == number {
			return a.Next, nil
		}
	}
	return 1, nil
}
