package joblog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"unicode/utf8"
)

// checkpoint is what is known of a log up to a place, kept in a file beside it: a long log is opened without reading all of it
// again. It is never needed, and one that does not fit the log is thrown away: what is written is not synced to the disk.
type checkpoint struct {
	Index Index            `json:"index"`
	Next  map[string]int64 `json:"next,omitempty"` // by header: number of the next line of an attempt
	Edge  uint32           `json:"edge"`           // checksum of the last bytes before the place
}

const (
	// checkpointFirst is how much of a log is not in its checkpoint at least when one is written as the log is closed. Logs that
	// are shorter have none.
	checkpointFirst = 4 << 20
	// checkpointEvery, or a sixteenth of the log if that is more, is how much is added to a log until the next one is written.
	checkpointEvery = 16 << 20
	// edgeBytes is how much of a log is compared with its checkpoint.
	edgeBytes = 64 << 10
	// longestCheckpoint bounds what is read: as much as a log of 2 TiB may have.
	longestCheckpoint = 1 << 30
)

// checkpointForm begins a checkpoint's first line; a server that finds another one makes its own.
const checkpointForm = "stroem log index 1 "

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkpoint returns what is known of the log now.
func (j *jobFile) checkpoint() (c checkpoint, err error) {
	j.mu.Lock()
	c = checkpoint{Index: j.lines.whole(), Next: maps.Clone(j.next)}
	file := j.file
	j.kept = c.Index.Size
	j.mu.Unlock()
	c.Edge, err = edge(file, c.Index.Size)
	return c, err
}

// due tells whether a checkpoint is to be written that leaves out less than this; a log of another form has none.
func (j *jobFile) due(first, every int64, closing bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || j.removed.Load() {
		return false
	}
	if closing {
		return j.lines.index.Size-j.kept >= first
	}
	return j.lines.index.Size-j.kept >= max(every, j.lines.index.Size/16)
}

// edge is the checksum of the last bytes of a log before a place, at which a line has to end.
func edge(log io.ReaderAt, size int64) (uint32, error) {
	data := make([]byte, min(size, edgeBytes))
	if _, err := log.ReadAt(data, size-int64(len(data))); err != nil {
		return 0, err
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		return 0, io.ErrUnexpectedEOF
	}
	return crc32.Checksum(data, castagnoli), nil
}

// encode is what is stored of a checkpoint; nil if there are names in it that JSON cannot hold.
func (c *checkpoint) encode() ([]byte, error) {
	for _, name := range slices.Concat(c.Index.Steps, slices.Collect(maps.Keys(c.Next))) {
		if !utf8.ValidString(name) {
			return nil, nil
		}
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	return append(fmt.Appendf(nil, "%s%08x\n", checkpointForm, crc32.Checksum(data, castagnoli)), data...), nil
}

// decodeCheckpoint is the reverse of encode.
func decodeCheckpoint(data []byte) (c checkpoint, ok bool) {
	head, data, _ := bytes.Cut(data, []byte("\n"))
	if string(head) != fmt.Sprintf("%s%08x", checkpointForm, crc32.Checksum(data, castagnoli)) {
		return c, false
	}
	if json.Unmarshal(data, &c) != nil || c.Index.Lines == 0 {
		return c, false
	}
	for _, next := range c.Next {
		if next < 1 {
			return c, false
		}
	}
	return c, true
}

// keep writes the checkpoint of a log if it is time to; closing tells that the log is about to be closed. The file is replaced
// whole.
func (s *Store) keep(j *jobFile, closing bool) {
	if !j.due(s.checkpointFirst, s.checkpointEvery, closing) {
		return
	}
	s.keeping.Lock()
	defer s.keeping.Unlock()
	c, err := j.checkpoint()
	if err == nil {
		err = s.store(j.id, &c)
	}
	if err != nil && !errors.Is(err, fs.ErrClosed) { // as when the store was closed meanwhile
		s.warn("an index, without which the log is opened more slowly", j.id.Job, err)
	}
}

func (s *Store) store(id Segment, c *checkpoint) error {
	data, err := c.encode()
	if err != nil || data == nil {
		return err
	}
	if err := s.root.WriteFile(id.unfinishedIndex(), data, 0o640); err != nil {
		return errors.Join(err, s.root.Remove(id.unfinishedIndex()))
	}
	return s.root.Rename(id.unfinishedIndex(), id.checkpoint())
}

// restore takes over the checkpoint of a log, if there is one that fits, and returns where reading has to go on.
func (j *jobFile) restore(log *os.File) (from int64) {
	file, err := j.root.Open(j.id.checkpoint())
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(file, longestCheckpoint))
	c, ok := decodeCheckpoint(data)
	if err == nil && ok {
		if sum, err := edge(log, c.Index.Size); err == nil && sum == c.Edge {
			j.lines, j.kept = resumed(c.Index), c.Index.Size
			if c.Next != nil {
				j.next = c.Next
			}
			return c.Index.Size
		}
	}
	_ = j.root.Remove(j.id.checkpoint()) // the next one replaces it, too
	return 0
}
