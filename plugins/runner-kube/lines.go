package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// position is how far a log was copied: Kubernetes sends it again from a second on, always in the same order. So many lines of
// that second or later are done, so many bytes of the one after them.
type position struct {
	second time.Time
	lines  int
	bytes  int
	latest time.Time // of all lines: what is younger cannot be one of those
}

const pieceSize = 64 << 10

// copy copies lines, which begin with their times. A long one goes in pieces. When ctx has ended, what was read ahead is left.
func (l *logReader) copy(ctx context.Context, stream io.Reader) error {
	lines := bufio.NewReaderSize(stream, pieceSize)
	known, seen := l.pos, 0
	var current line
	for fresh := true; ; {
		piece, err := lines.ReadSlice('\n')
		l.active.Store(0)
		if fresh && len(piece) > 0 {
			at, rest, ok := stamp(piece)
			if ok {
				current, piece = l.begin(known, &seen, at), rest
			} else {
				current = line{mute: true}
				l.f.tell("the log: " + string(bytes.TrimSpace(piece))) // of the kubelet, such as that the file is gone
			}
		}
		fresh = bytes.HasSuffix(piece, []byte{'\n'})
		if failure := l.write(&current, piece, fresh); failure != nil {
			return errNotTaken{failure}
		}
		l.active.Store(time.Now().UnixNano())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// stamp cuts the time off a line.
func stamp(line []byte) (at time.Time, rest []byte, ok bool) {
	text, rest, found := bytes.Cut(line, []byte{' '})
	if !found || len(text) > len(time.RFC3339Nano) {
		return at, line, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return at, line, false
	}
	return at, rest, true
}

// line is the line that is being read.
type line struct {
	at     time.Time
	done   int  // bytes of it that were copied before this stream
	mute   bool // it is not copied: it was before, or is older than what is wanted
	counts bool // the position goes on with it
}

// begin looks at a line of a stream that began at a known position, and before which others were seen.
func (l *logReader) begin(known position, seen *int, at time.Time) line {
	if !at.Before(known.second) && !at.After(known.latest) && *seen <= known.lines {
		*seen++
		if *seen <= known.lines {
			return line{at: at, mute: true}
		}
		return line{at: at, done: known.bytes, mute: at.Before(l.f.since), counts: true}
	}
	*seen = known.lines + 1 // what comes now is new
	if second := at.Truncate(time.Second); second.After(l.pos.second) {
		l.pos.second, l.pos.lines = second, 0
	}
	l.pos.bytes = 0
	if at.After(l.pos.latest) {
		l.pos.latest = at
		l.behind.Store(time.Since(at) > tooOld)
	}
	return line{at: at, mute: at.Before(l.f.since), counts: !at.Before(l.pos.second)}
}

// write writes what is new of a piece of a line, and moves the position.
func (l *logReader) write(current *line, piece []byte, last bool) error {
	old := min(current.done, len(piece))
	current.done -= old
	if !current.mute && len(piece) > old {
		if _, err := pluginapi.WriteTimed(l.f.out.Stdout(), piece[old:], current.at); err != nil {
			return err
		}
	}
	switch {
	case !current.counts:
	case last:
		l.pos.lines++
		l.pos.bytes = 0
	default:
		l.pos.bytes += len(piece) - old
	}
	return nil
}
