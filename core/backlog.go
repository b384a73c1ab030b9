package core

import "time"

// Backlog is what waits and what runs at one moment, in all jobs.
type Backlog struct {
	Queues        []Queue // that are not empty, longest first
	WorkerSteps   int     // running on workers, or claimed by them
	ServerSteps   int     // running as jobs of their own
	OpenJobs      int
	ScheduleDelay time.Duration // since the earliest instant that should have fired
}

// Queue is the ready steps that require the same tags.
type Queue struct {
	Tags   []string
	Ready  int
	Oldest time.Duration // how long the first of them has been ready
}
