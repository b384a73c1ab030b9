package joblog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"sync"

	"github.com/stroem/stroem/core"
)

// jobFile is one segment of the log of a job: its file, what is known about its lines, and who waits for more.
type jobFile struct {
	root *os.Root
	id   Segment

	users   int  // guarded by Store.mu, as is
	dropped bool // the store has forgotten it

	mu      sync.Mutex
	loaded  bool
	version uint64   // another one whenever what was there before may have changed
	legacy  bool     // the file is one of plain text, only to be read
	file    *os.File // open for appending; nil until there is something to append to
	lines   indexer
	next    map[string]int64 // by header: number of the next line of an attempt
	changed chan struct{}    // closed when lines are added; nil if nobody waits
}

// batch is a verified run of lines of one attempt.
type batch struct {
	step    string
	attempt int
	header  []byte
	first   int64 // 0: not numbered
	lines   int64
	ndjson  []byte
}

// load reads what the file holds, once.
func (j *jobFile) load() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.loaded {
		return nil
	}
	return j.read()
}

// read reads what the file holds; j.mu is held.
func (j *jobFile) read() error {
	j.next, j.version = map[string]int64{}, rand.Uint64() //nolint:gosec // tells states apart, and guards nothing
	file, err := j.root.OpenFile(j.id.file(), os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return j.loadLegacy()
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	torn, err := j.scan(file)
	if err == nil && torn > 0 { // a write that a crash cut off; it was not acknowledged
		err = file.Truncate(j.lines.index.Size)
	}
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("read log: %w", err)
	}
	j.file, j.loaded = file, true
	return nil
}

// loadLegacy looks for a log of plain text.
func (j *jobFile) loadLegacy() error {
	file, err := j.root.Open(legacyName(j.id.Job))
	if j.id.N > 1 || errors.Is(err, fs.ErrNotExist) {
		j.loaded = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = file.Close() }()
	torn, err := j.scan(file)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	if torn > 0 {
		j.lines.add(nil, torn)
	}
	j.legacy, j.loaded = true, true
	return nil
}

// scan counts the lines in r and returns how many bytes follow the last newline.
func (j *jobFile) scan(r io.Reader) (torn int64, err error) {
	j.lines = indexer{}
	reader := bufio.NewReaderSize(r, 64<<10)
	var first []byte // of a line that does not fit the reader's buffer
	for {
		part, err := reader.ReadSlice('\n')
		torn += int64(len(part))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if first == nil {
				first = bytes.Clone(part)
			}
		case errors.Is(err, io.EOF):
			return torn, nil
		case err != nil:
			return 0, err
		default:
			if first != nil {
				part = first
			}
			j.lines.add(j.count(part), torn)
			torn, first = 0, nil
		}
	}
}

// count adds a line of the file, or its start, to the numbers of its attempt, and returns its header; nil if it has none.
func (j *jobFile) count(line []byte) []byte {
	header, _, ok := bytes.Cut(line, []byte(streamKey))
	if !ok || !bytes.HasPrefix(line, []byte(stepKey)) {
		return nil
	}
	if string(header) != serverHeader {
		j.next[string(header)] = max(j.next[string(header)], 1) + 1
		return header
	}
	if r, ok := parse(bytes.TrimSuffix(line, []byte("\n"))); ok {
		if attempt, next, ok := parseGap(decodeString(r.line)); ok {
			j.next[attempt] = next
		}
	}
	return header
}

// append writes what is new in b with one write, and returns how much the log has grown by.
func (j *jobFile) append(b batch) (lines, size int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := max(j.next[string(b.header)], 1)
	if b.first <= 0 {
		b.first = next
	}
	for range next - b.first { // stored already
		if b.lines == 0 {
			return 0, 0, nil
		}
		b.ndjson = b.ndjson[bytes.IndexByte(b.ndjson, '\n')+1:]
		b.lines--
	}
	if b.lines == 0 {
		return 0, 0, nil
	}
	var gap []byte
	if b.first > next {
		gap = gapLine(b, next)
		b.ndjson = append(slices.Clip(gap), b.ndjson...)
	}
	if err := j.write(b.ndjson); err != nil {
		return 0, 0, err
	}
	before := j.lines.index
	if string(b.header) != serverHeader {
		j.next[string(b.header)] = max(next, b.first) + b.lines
	}
	if len(gap) > 0 {
		j.lines.add([]byte(serverHeader), int64(len(gap)))
	}
	for line := range bytes.Lines(b.ndjson[len(gap):]) {
		j.lines.add(b.header, int64(len(line)))
	}
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	return j.lines.index.Lines - before.Lines, j.lines.index.Size - before.Size, nil
}

// write appends data to the file, all of it or nothing.
func (j *jobFile) write(data []byte) error {
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
	if _, err := j.file.Write(data); err != nil {
		return &core.Error{
			Code: core.CodeUnavailable, Reason: "log_unavailable", Message: "The log cannot be written",
			Err: errors.Join(err, j.file.Truncate(j.lines.index.Size)),
		}
	}
	return nil
}

// view is the log as it is now, together with the number of the next line of an attempt.
func (j *jobFile) view(header string) (v *View, next int64, err error) {
	index, name, version, next := j.snapshot(header)
	if index.Lines == 0 {
		return &View{Version: version}, next, nil
	}
	file, err := j.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		return &View{}, next, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	return &View{Index: index, Bytes: file, End: file.Close, Version: version}, next, nil
}

func (j *jobFile) snapshot(header string) (index Index, name string, version uint64, next int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	name = j.id.file()
	if j.legacy {
		name = legacyName(j.id.Job)
	}
	return j.lines.index, name, j.version, j.next[header]
}

// changedAfter returns a channel that is closed when there are more lines, or nil if there are some after the number.
func (j *jobFile) changedAfter(after int64) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lines.index.Lines > after {
		return nil
	}
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return j.changed
}

// close closes the file; nobody uses j any more.
func (j *jobFile) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		_ = j.file.Close() // nothing is buffered
		j.file = nil
	}
}
