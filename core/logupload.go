package core

import (
	"time"

	"github.com/google/uuid"
)

// LogUpload is a log that has to be archived, or has been.
type LogUpload struct {
	Job       uuid.UUID
	N         int // its last segment
	Workspace string
	Task      string
	Created   time.Time // the job
	Attempts  int       // that have failed
}

// LogPlace says what the database knows of the archived log of a job.
type LogPlace struct {
	Workspace string
	Task      string
	Created   time.Time // the job
	Ended     bool      // the job has
	Key       string    // of the object; "": none is known
	Lines     int64     // that it has at least
}

// LocalLog is a segment that is archived, and may still be with the replica that kept it.
type LocalLog struct {
	Job        uuid.UUID
	N          int
	First      int64     // number of its first line in the log
	Archived   int64     // lines of the log that the archive has
	ArchivedAt time.Time // when it had these, by the clock of the replica
	Dropped    bool
}

// UploadBacklog is what waits to be archived.
type UploadBacklog struct {
	Pending int           // logs of jobs that have ended, up to a limit
	Failing int           // those of them that could not be archived
	Oldest  time.Duration // how long ago the job ended that waits longest
}
