package joblog

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
)

// Segment is a part of the log of a job that one replica keeps. N counts from 1.
type Segment struct {
	Job uuid.UUID
	N   int
}

// First is the first segment of a job, which is all of its log where no replica took over from another one.
func First(job uuid.UUID) Segment { return Segment{Job: job, N: 1} }

func (id Segment) file() string { return id.name() + ".jsonl" }

func (id Segment) name() string {
	if id.N == 1 {
		return id.Job.String()
	}
	return id.Job.String() + "." + strconv.Itoa(id.N)
}

// checkpoint and unfinishedIndex are what is kept beside the file, see checkpoint.
func (id Segment) checkpoint() string      { return id.name() + ".idx" }
func (id Segment) unfinishedIndex() string { return id.name() + ".idx.tmp" }

// legacyName is the file of a log of plain text, which older versions have written.
func legacyName(job uuid.UUID) string { return job.String() + ".log" }

// parseFile is the reverse of Segment.file and legacyName.
func parseFile(name string) (id Segment, ok bool) {
	job, rest, _ := strings.Cut(name, ".")
	var err error
	if id.Job, err = uuid.Parse(job); err != nil {
		return Segment{}, false
	}
	if rest == "jsonl" || rest == "log" {
		id.N = 1
		return id, true
	}
	id.N, err = strconv.Atoi(strings.TrimSuffix(rest, ".jsonl"))
	return id, err == nil && id.N > 1 && name == id.file()
}

// SegmentLog is a segment in a store. All methods may be called concurrently.
type SegmentLog struct {
	store *Store
	id    Segment
}

// Of returns a segment, which need not be there yet.
func (s *Store) Of(id Segment) SegmentLog { return SegmentLog{store: s, id: id} }

// Append stores a run of lines of one attempt of a step; first is the number of its first line within the attempt, or 0
// for lines that are not numbered. Lines that are stored already are left out, so repeating a call is harmless. Every
// line is checked: one that is not in storage format with exactly this step and attempt refuses the whole batch with
// [core.CodeInvalid]. Where lines are missing before first, a line of the server says so.
func (l SegmentLog) Append(ctx context.Context, step string, attempt int, first int64, ndjson []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if step == "" || step == ServerStep {
		return core.Errorf(core.CodeInvalid, "log_invalid", "%q is not a step that a worker can write for", step)
	}
	header := appendHeader(nil, step, attempt)
	lines, err := verify(ndjson, header)
	if err != nil || lines == 0 {
		return err
	}
	failpoint.Hit("log.received")
	err = l.append(ctx, batch{step: step, attempt: attempt, header: header, first: first, lines: lines, ndjson: ndjson})
	failpoint.Hit("log.stored")
	return err
}

// Event stores a line that the server says about a job.
func (l SegmentLog) Event(ctx context.Context, text string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line := eventLine(text)
	return l.append(ctx, batch{header: appendHeader(nil, ServerStep, 1), lines: 1, ndjson: line})
}

func eventLine(text string) []byte {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return AppendLine(nil, ServerStep, 1, Stderr, string(appendTime(nil, time.Now())), text)
}

func (l SegmentLog) append(ctx context.Context, b batch) error {
	s := l.store
	secrets, err := s.mask(ctx, l.id.Job)
	if err != nil {
		return err
	}
	if !secrets.Empty() {
		b.ndjson = maskLines(secrets, b.ndjson)
	}
	j, err := s.acquire(l.id)
	if err != nil {
		return err
	}
	defer s.release(j)
	lines, size, err := j.append(b)
	if err != nil {
		s.Tally.Failures.Add(1)
		s.warn("lines, with which workers wait", l.id.Job, err)
		return err
	}
	if lines > 0 {
		s.Tally.Lines.Add(int(lines))
		s.Tally.Bytes.Add(int(size))
		if s.Grown != nil {
			s.Grown(l.id.Job)
		}
		s.keep(j, false)
	}
	return nil
}

// View returns the segment as it is now. One that is not there is empty. The caller closes it.
func (l SegmentLog) View(context.Context) (*View, error) {
	j, err := l.store.acquire(l.id)
	if err != nil {
		return nil, err
	}
	defer l.store.release(j)
	v, _, err := j.view("")
	return v, err
}

// Wait returns when the segment has lines after the given number, when ctx ends or when the store is closed.
func (l SegmentLog) Wait(ctx context.Context, after int64) error {
	j, err := l.store.acquire(l.id)
	if err != nil {
		return err
	}
	defer l.store.release(j)
	for {
		changed := j.changedAfter(after)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.store.closed:
			return ErrClosed
		}
	}
}
