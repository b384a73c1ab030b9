package core

import (
	"time"

	"github.com/google/uuid"
)

// LogSegment is a part of the log of a job that one replica keeps.
type LogSegment struct {
	Job     uuid.UUID
	N       int // from 1
	Replica uuid.UUID
	First   int64 // number of its first line in the log, as far as that is known
	// Lines is how many it has, once it will get no more; until then -1.
	Lines      int64
	Superseded bool // the log goes on in the next one
	Archived   bool // the archive has all of it
	Dropped    bool // the replica has it no more

	URL  string // of the replica; "": it cannot be reached
	Gone bool   // nothing was heard of the replica for so long that another one may take over
}

// LogStart says with which line of the worker's an attempt of a step goes on in a segment.
type LogStart struct {
	Step    string
	Attempt int
	First   int64
}

// Replica is what a server process tells the others about itself.
type Replica struct {
	ID  uuid.UUID
	URL string        // where they reach it; "": nowhere
	For time.Duration // for so long nobody takes over from it
}

// ReplicaNews is what a replica hears when it tells about itself.
type ReplicaNews struct {
	Superseded []LogSegment // of its own, not closed yet; only what they are is known
	Others     int          // replicas that are there
	Adopted    bool         // see Store.AdoptLogs
}
