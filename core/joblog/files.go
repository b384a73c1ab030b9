package joblog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// File is that of a segment.
type File struct {
	Segment
	Size    int64
	Changed time.Time
}

// Files returns the files of all segments.
func (s *Store) Files(ctx context.Context) ([]File, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	defer func() { _ = dir.Close() }() // only read from
	var files []File
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := dir.ReadDir(listed)
		for _, entry := range entries {
			id, ours := parseFile(entry.Name())
			if info, gone := entry.Info(); ours && gone == nil {
				files = append(files, File{id, info.Size(), info.ModTime()})
			}
		}
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list logs: %w", err)
		}
	}
}

// Exists tells whether the segment has a file.
func (l SegmentLog) Exists() (bool, error) {
	_, err := l.store.root.Stat(l.id.file())
	if errors.Is(err, fs.ErrNotExist) && l.id.N == 1 {
		_, err = l.store.root.Stat(legacyName(l.id.Job))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for log: %w", err)
	}
	return true, nil
}

// Remove deletes the segment. One that is not there is not an error. Whoever reads or waits at the moment sees the old one.
func (l SegmentLog) Remove(context.Context) error {
	var unused []*jobFile
	defer func() { l.store.retire(unused) }()
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	return l.store.remove(l.id, &unused)
}
