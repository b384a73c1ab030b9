package logs

import (
	"context"
	"fmt"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// Peers are the other replicas, asked about segments that they keep. If one does not answer, or says that it cannot now, the error
// has core.CodeUnavailable; it has ReasonMoved if the segment is not the last one of its log any more, or not that replica's.
type Peers interface {
	// Append appends lines; a repeat is harmless. It returns when they are stored.
	Append(ctx context.Context, to core.LogSegment, step string, attempt int, first int64, ndjson []byte) error
	Event(ctx context.Context, to core.LogSegment, text string) error
	// Index returns what of a segment's index the caller lacks, once the segment has more lines than it says or is not what it knows
	// any more, and at the latest after a time.
	Index(ctx context.Context, of core.LogSegment, known IndexQuery, wait time.Duration) (IndexAnswer, error)
	// ReadAt reads a part of a segment as it is in a version.
	ReadAt(ctx context.Context, of core.LogSegment, version uint64, p []byte, at int64) error
	// Next returns the number behind the last line of an attempt within the segment, 1 if it has none.
	Next(ctx context.Context, of core.LogSegment, step string, attempt int) (int64, error)
}

// IndexQuery says what is known of a segment's index.
type IndexQuery struct {
	Version uint64
	Lines   int64
	Blocks  int
	Steps   int
}

// IndexAnswer is what came to an index since. If Version is another one, nothing of what was known holds.
type IndexAnswer struct {
	Version uint64       `json:"version,string"`
	Last    bool         `json:"last"` // the log ends with this segment
	Delta   joblog.Delta `json:"delta"`
}

// hand gives lines to the replica that keeps a segment.
func (l *Logs) hand(ctx context.Context, to core.LogSegment, b lines) error {
	if to.URL == "" {
		return unreachable(to)
	}
	if b.event != "" {
		return l.Peers.Event(ctx, to, b.event)
	}
	return l.Peers.Append(ctx, to, b.step, b.attempt, b.first, b.ndjson)
}

// unreachable says that nobody has told how a replica is reached.
func unreachable(of core.LogSegment) error {
	return &core.Error{
		Code: core.CodeUnavailable, Reason: "replica_unavailable",
		Message: fmt.Sprintf("The log is kept by replica %s, which this one cannot reach: set internal_url in its configuration", of.Replica),
	}
}

// away says that a replica cannot be asked now.
func away(of core.LogSegment, why error) error {
	return &core.Error{
		Code: core.CodeUnavailable, Reason: "replica_unavailable",
		Message: fmt.Sprintf("The log is kept by replica %s, which does not answer: try again in a moment", of.Replica), Err: why,
	}
}
