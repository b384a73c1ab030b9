package joblog

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
)

// listed is how many files of the directory are looked at at a time.
const listed = 1000

// Jobs returns the jobs of whose log no file has changed since a time.
func (s *Store) Jobs(before time.Time) ([]uuid.UUID, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	defer func() { _ = dir.Close() }() // only read from
	settled := map[uuid.UUID]bool{}
	for {
		entries, err := dir.ReadDir(listed)
		for _, entry := range entries {
			name, _, _ := strings.Cut(entry.Name(), ".")
			id, notOurs := uuid.Parse(name)
			if segment, ok := parseFile(entry.Name()); ok {
				s.seen(segment)
			}
			info, gone := entry.Info()
			if notOurs != nil || gone != nil {
				continue
			}
			others, known := settled[id]
			settled[id] = info.ModTime().Before(before) && (others || !known)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list logs: %w", err)
		}
	}
	var jobs []uuid.UUID
	for id, all := range settled {
		if all {
			jobs = append(jobs, id)
		}
	}
	return jobs, nil
}

// seen notes that there is a segment, so that Remove knows of it.
func (s *Store) seen(id Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, id.N)
}
