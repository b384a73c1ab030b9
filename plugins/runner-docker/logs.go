package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// The streams of frames.
const (
	frameStdout = 1
	frameStderr = 2
	frameSystem = 3 // an error of the engine
)

// maxFrame is more than any piece of output that an engine keeps.
const maxFrame = 4 << 20

// piece is what a container wrote at one time: a line, or a part of one that is long or has no end yet.
type piece struct {
	stderr bool
	at     time.Time
	data   []byte // valid until the next one is read
}

// frames reads the pieces of a log with timestamps.
type frames struct {
	r    *bufio.Reader
	buf  []byte
	text []byte // the last timestamp, and what it means
	at   time.Time
}

func newFrames(r io.Reader) *frames { return &frames{r: bufio.NewReaderSize(r, 64<<10)} }

// errLog is what the engine says, in the midst of a log, when it cannot go on with it.
var errLog = errors.New("the engine cannot read the log")

// next returns the next piece. At the end of the log it returns io.EOF, and io.ErrUnexpectedEOF where it breaks off.
func (f *frames) next() (piece, error) {
	var header [8]byte
	if _, err := io.ReadFull(f.r, header[:]); err != nil {
		return piece{}, err
	}
	size := binary.BigEndian.Uint32(header[4:])
	if header[0] > frameSystem || size > maxFrame {
		return piece{}, fmt.Errorf("%w: no frame begins with %x", errLog, header)
	}
	if int(size) > cap(f.buf) {
		f.buf = make([]byte, size)
	}
	buf := f.buf[:size]
	if _, err := io.ReadFull(f.r, buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return piece{}, err
	}
	stamp, data, found := bytes.Cut(buf, []byte{' '})
	if found && !bytes.Equal(stamp, f.text) {
		at, err := time.Parse(time.RFC3339Nano, string(stamp))
		found = err == nil
		if found {
			f.text, f.at = append(f.text[:0], stamp...), at
		}
	}
	if !found || header[0] == frameSystem {
		return piece{}, fmt.Errorf("%w: %s", errLog, strings.TrimSpace(string(buf)))
	}
	return piece{stderr: header[0] == frameStderr, at: f.at, data: data}, nil
}

// cursor is how far a log has been read, so that it can be read on from there: logs are asked for by time, and several
// pieces may have the same one.
type cursor struct {
	streams [2]position // stdout, stderr: the pieces of each are in order, those of both are not
}

type position struct {
	at     time.Time
	count  int  // pieces with this time that were read
	skip   int  // of these, how many come once more
	caught bool // all that comes now is new: clocks may step back
}

func newCursor(since time.Time) *cursor {
	return &cursor{streams: [2]position{{at: since}, {at: since}}}
}

// streamSkew is by how much the two streams may be out of order in a log: an engine takes their times before it writes in turn.
const streamSkew = 5 * time.Second

// rewind prepares for another reading and returns the time from which the log is needed. A stream on which nothing came for long
// does not need all that came on the other one meanwhile.
func (c *cursor) rewind() time.Time {
	since, last := c.streams[0].at, c.streams[0].at
	for i := range c.streams {
		p := &c.streams[i]
		p.skip, p.caught = p.count, false
		if p.at.Before(since) {
			since = p.at
		}
		if p.at.After(last) {
			last = p.at
		}
	}
	if behind := last.Add(-streamSkew); since.Before(behind) {
		return behind
	}
	return since
}

// fresh tells whether a piece has not been read before, and takes note of it.
func (c *cursor) fresh(p piece) bool {
	s := &c.streams[0]
	if p.stderr {
		s = &c.streams[1]
	}
	if !s.caught {
		if p.at.Before(s.at) {
			return false
		}
		if p.at.Equal(s.at) && s.skip > 0 {
			s.skip--
			return false
		}
		s.caught = true
	}
	if !p.at.Equal(s.at) {
		s.at, s.count = p.at, 0
	}
	s.count++
	return true
}

// stamp is a time as the engine wants it; it is exact.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}
