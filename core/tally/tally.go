// Package tally counts what happens in a server, where it happens, until somebody asks: core/metrics shows it. It knows nothing of
// how that is done. Whatever is counted here is that of one process since its start.
package tally

import (
	"maps"
	"sync"
)

// Server is what is counted in a server; its zero value is ready, and each part has a pointer to its own.
type Server struct {
	Engine    Engine
	Schedules Schedules
	Webhooks  Webhooks
	Logs      Logs
	Archive   Archive
	Streams   Counter // of logs that are open
}

// Engine is what the engine has done.
type Engine struct {
	JobsCreated     Counter // by workspace and source
	JobsEnded       Counter // by workspace and status
	StepsEnded      Counter // by status
	Claims          Counter // by what they got: steps or nothing
	StepsClaimed    Counter
	StepsRequeued   Counter // claimed and not started: ready again
	StepsUnreported Counter // ended without a report of their worker

	Creation   Histogram // of the transactions that store jobs
	Transition Histogram // of the transactions that change them
	Claim      Histogram // of the statements that hand out steps
}

// Schedules is what the scheduler has done.
type Schedules struct {
	Fires  Counter   // by result: FiredJob or FiredInVain
	Missed Counter   // instants that were made up for by the fire of a later one
	Lag    Histogram // how long after its instant each fire was begun
}

// Results of a fire.
const (
	FiredJob    = "job"
	FiredInVain = "in_vain"
)

// Webhooks is what came to webhooks.
type Webhooks struct {
	Deliveries Counter // by workspace and class of status; without a workspace: to a name that no webhook has
	Unrecorded Counter // by workspace: refusals in a flood, and those that could not be stored
}

// Logs is what was added to the logs of jobs.
type Logs struct {
	Lines, Bytes Counter
	Failures     Counter // writes that the file system refused
}

// Archive is what was sent to the archive of logs.
type Archive struct {
	Uploads Counter // by result: UploadStored or UploadFailed
	Bytes   Counter
}

// Results of an upload.
const (
	UploadStored = "stored"
	UploadFailed = "failed"
)

// Labels tell apart what a [Counter] counts; how many there are, and what they mean, is the counter's.
type Labels [2]string

// maxLabels bounds how many combinations of labels a counter knows; all further ones are counted as Other.
const maxLabels = 1000

// Other stands for the first label of what is not counted apart.
const Other = "_other"

// Counter counts by labels. Its zero value is ready; it is safe for concurrent use.
type Counter struct {
	mu     sync.Mutex
	counts map[Labels]int64
}

// Add counts n more; labels that are left out are "".
func (c *Counter) Add(n int, labels ...string) {
	var key Labels
	copy(key[:], labels)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[Labels]int64{}
	}
	if _, known := c.counts[key]; !known && len(c.counts) >= maxLabels {
		key[0] = Other
	}
	c.counts[key] += int64(n)
}

// Counts returns a copy of what was counted.
func (c *Counter) Counts() map[Labels]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[Labels]int64, len(c.counts))
	maps.Copy(counts, c.counts)
	return counts
}
