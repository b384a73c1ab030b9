package joblog

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/stroem/stroem/core"
)

// write appends data to the file, all of it or nothing. What cannot be written now may be tried again: [core.CodeUnavailable].
func (j *jobFile) write(data []byte) error {
	if err := j.tryWrite(data); err != nil {
		if !j.stalled.Load() {
			j.stall = stall{since: time.Now(), cause: err}
			j.stalled.Store(true)
		}
		return &core.Error{Code: core.CodeUnavailable, Reason: "log_unavailable", Message: "The log cannot be written", Err: err}
	}
	j.stalled.Store(false)
	return nil
}

func (j *jobFile) tryWrite(data []byte) error {
	if j.file == nil {
		file, err := j.root.OpenFile(j.id.file(), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return fmt.Errorf("create log: %w", err)
		}
		j.file = file
		if j.legacy { // it is hidden from now on
			j.legacy, j.lines = false, indexer{}
		}
	}
	if j.torn {
		if err := j.file.Truncate(j.lines.index.Size); err != nil {
			return fmt.Errorf("repair log: %w", err)
		}
		j.torn = false
	}
	if _, err := j.file.Write(data); err != nil {
		cut := j.file.Truncate(j.lines.index.Size)
		j.torn = cut != nil
		return errors.Join(err, cut)
	}
	return nil
}

// line is what the server says in the log when it can be written again.
func (s *stall) line() []byte {
	cause := s.cause
	if number, ok := errors.AsType[syscall.Errno](cause); ok {
		cause = number // without names of files
	}
	now := time.Now()
	return eventLine(fmt.Sprintf("[logs] The log could not be written from %s to %s: %s. Steps have waited with their output; what the server had to say is missing",
		s.since.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), cause))
}
