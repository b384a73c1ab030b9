package joblog

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/pluginapi"
)

// Position says how far the log of an attempt has come, for one who takes the attempt up again.
type Position struct {
	Last  int64 // number of its last line; 0 if there is none
	Known Known
}

// Known says which part of an attempt's output is stored already: output from Since on begins with so many lines of either
// stream as are stored of it. The zero value is for an attempt of which nothing is.
//
// Since is the time of the last line, or of the last line with an output: that line has to come again, because what is
// stored of it is masked, and may be cut.
type Known struct {
	Since  time.Time
	Until  time.Time // time of the last line
	Stdout int64
	Stderr int64
}

// Position is [SegmentLog.Position] in a job's first segment.
func (s *Store) Position(ctx context.Context, job uuid.UUID, step string, attempt int) (Position, error) {
	return s.Of(First(job)).Position(ctx, step, attempt)
}

// Position reads the segment up to its end.
func (l SegmentLog) Position(ctx context.Context, step string, attempt int) (Position, error) {
	j, err := l.store.acquire(l.id)
	if err != nil {
		return Position{}, err
	}
	defer l.store.release(j)
	header := appendHeader(nil, step, attempt)
	v, next, err := j.view(string(header))
	if err != nil {
		return Position{}, err
	}
	defer func() { _ = v.Close() }() // only read from
	if next <= 1 {
		return Position{}, nil
	}
	known, err := v.Known(ctx, step, attempt)
	return Position{Last: next - 1, Known: known}, err
}

// Known reads which part of an attempt's output is in the log.
func (v *View) Known(ctx context.Context, step string, attempt int) (Known, error) {
	header := appendHeader(nil, step, attempt)
	q := Query{Step: step}
	var k knownLines
	reader := &lineReader{ctx: ctx, view: v, match: newMatcher(q, &v.Index), query: q}
	_, err := reader.each(1, v.Index.Lines, func(_ int64, line []byte) (bool, error) {
		if r, ok := parse(line); ok && bytes.Equal(r.header, header) {
			k.add(r)
		}
		return true, nil
	})
	if err != nil {
		return Known{}, fmt.Errorf("read log: %w", err)
	}
	return k.known(), nil
}

// knownLines counts the lines of an attempt from the last one with an output, if there is one, and those that have the
// time of the last line.
type knownLines struct {
	output, last mark
}

type mark struct {
	ts             string // as it is stored, in microseconds; "" if there is none
	stdout, stderr int64
}

func (m *mark) count(r record) {
	if string(r.stream) == Stderr {
		m.stderr++
	} else {
		m.stdout++
	}
}

func (k *knownLines) add(r record) {
	if string(r.stream) == Stderr && bytes.HasPrefix(r.line, []byte(pluginapi.NotePrefix)) {
		return // of the runner's own: does not come again
	}
	if string(r.ts) != k.last.ts {
		k.last = mark{ts: string(r.ts)}
	}
	k.last.count(r)
	if string(r.stream) == Stdout && bytes.HasPrefix(r.line, []byte(outputPrefix)) {
		k.output = k.last
	} else if k.output.ts != "" {
		k.output.count(r)
	}
}

func (k *knownLines) known() Known {
	from := k.last
	if k.output.ts != "" {
		from = k.output
	}
	since, err := time.Parse(time.RFC3339, from.ts)
	until, err2 := time.Parse(time.RFC3339, k.last.ts)
	if err != nil || err2 != nil { // nobody who stamps lines as a Recorder does has written them
		return Known{}
	}
	return Known{Since: since, Until: until, Stdout: from.stdout, Stderr: from.stderr}
}
