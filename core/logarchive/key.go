package logarchive

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// suffix is what is behind the key of a log to make that of its index.
const suffix = ".idx"

// Key is the key of a job's log. The log store puts its prefix in front of it.
func Key(workspace, task string, created time.Time, job uuid.UUID) string {
	created = created.UTC()
	return elements(workspace) + "/" + elements(task) + created.Format("/2006/01/02/2006-01-02T15-04-05_") + job.String() + ".jsonl.gz"
}

// elements are those of a key that a name is. A log store takes every name but for elements that lead elsewhere in a file system.
func elements(name string) string {
	if name == "" {
		return "%"
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		switch part {
		case "":
			parts[i] = "%"
		case ".", "..":
			parts[i] = strings.ReplaceAll(part, ".", "%2E")
		}
	}
	return strings.Join(parts, "/")
}
