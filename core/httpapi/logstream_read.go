package httpapi

import (
	"context"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// nextPage reads what comes next. While a replica that keeps it does not answer, the stream waits; what has become of the log
// meanwhile may give the next line another number.
func (s *logStream) nextPage(ctx context.Context) (page joblog.Page, away bool, err error) {
	v, err := s.api.Logs.View(ctx, s.job)
	if err == nil {
		defer func() { _ = v.Close() }() // only read from
		var same bool
		if s.query.From, same = v.Follow(s.query.From, s.starts); !same {
			s.query.At = joblog.Cursor{}
		}
		s.starts = v.Starts
		page, err = v.Read(ctx, s.query)
	}
	if core.ErrorCode(err) == core.CodeUnavailable {
		timer := time.NewTimer(awayPause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return joblog.Page{}, true, nil
	}
	return page, false, err
}

// awayPause is how long it takes until a replica that does not answer is asked again.
const awayPause = 500 * time.Millisecond
