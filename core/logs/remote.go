package logs

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

const (
	// maxRemote is of how many segments of other replicas the index is remembered.
	maxRemote = 1000
	// pollFor is how long a replica waits for more lines before it answers.
	pollFor = 20 * time.Second
	// chunkSize is how much of a segment is read at a time: all viewers of its end read the same.
	chunkSize = 512 << 10
)

// remotes are the segments of other replicas that were read.
type remotes struct {
	mu   sync.Mutex
	open map[joblog.Segment]*remote
}

// get returns a segment of another replica.
func (r *remotes) get(peers Peers, segment core.LogSegment) *remote {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := idOf(segment)
	one := r.open[id]
	if one == nil {
		if len(r.open) >= maxRemote {
			clear(r.open) // who uses one goes on with it
		}
		one = &remote{peers: peers, changed: make(chan struct{})}
		r.open[id] = one
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	one.segment = segment
	return one
}

// lines is how many lines are known of.
func (r *remotes) lines(id joblog.Segment) int64 {
	r.mu.Lock()
	one := r.open[id]
	r.mu.Unlock()
	if one == nil {
		return 0
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.index.Lines
}

// remote is what is known of a segment that another replica keeps. However many read it and wait for its lines here, that replica is
// asked once.
type remote struct {
	peers Peers

	mu      sync.Mutex
	segment core.LogSegment
	version uint64
	index   joblog.Index
	next    *flight       // that has not begun
	polling bool          // somebody waits there
	changed chan struct{} // closed when index changes, or nobody waits any more

	turn sync.Mutex // of flights

	reading sync.Mutex // held to read from there
	chunk   chunk
}

// flight is a question whose answer is for all who asked before it began.
type flight struct {
	done chan struct{}
	last bool
	err  error
}

type chunk struct {
	version uint64
	at      int64
	data    []byte
}

// view is the segment as it is now, and whether the log ends with it.
func (r *remote) view(ctx context.Context) (*joblog.View, bool, error) {
	r.mu.Lock()
	f, mine := r.next, false
	if f == nil {
		f, mine = &flight{done: make(chan struct{})}, true
		r.next = f
	}
	r.mu.Unlock()
	if mine {
		r.fly(ctx, f)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	if f.err != nil {
		return nil, false, f.err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &joblog.View{Index: r.index, Version: r.version}
	if r.index.Size > 0 {
		v.Bytes = &remoteBytes{ctx: context.WithoutCancel(ctx), remote: r, segment: r.segment, version: r.version, size: r.index.Size}
	}
	return v, f.last, nil
}

// fly asks, when who asks already has the answer.
func (r *remote) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	r.next = nil
	r.mu.Unlock()
	f.last, f.err = r.ask(context.WithoutCancel(ctx), 0) // others may wait for it
}

// ask learns what is new.
func (r *remote) ask(ctx context.Context, wait time.Duration) (last bool, err error) {
	r.mu.Lock()
	segment, base := r.segment, r.index
	known := IndexQuery{Version: r.version, Lines: base.Lines, Blocks: base.Blocks(), Steps: len(base.Steps)}
	r.mu.Unlock()
	if segment.URL == "" {
		return false, unreachable(segment)
	}
	answer, err := r.peers.Index(ctx, segment, known, wait)
	if err != nil {
		return false, err
	}
	if answer.Version != known.Version {
		base = joblog.Index{}
	}
	index, err := base.With(answer.Delta)
	if err != nil {
		return false, away(segment, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.version != known.Version && r.version != answer.Version || r.version == answer.Version && r.index.Lines >= index.Lines {
		return answer.Last, nil // somebody else has learned more
	}
	r.version, r.index = answer.Version, index
	r.wake()
	return answer.Last, nil
}

// wake wakes who waits; r.mu is held.
func (r *remote) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// wait returns when the segment has lines after a number, or is not what it was.
func (r *remote) wait(ctx context.Context, after int64) error {
	r.mu.Lock()
	version := r.version
	r.mu.Unlock()
	for {
		r.mu.Lock()
		if r.index.Lines > after || r.version != version && version != 0 {
			r.mu.Unlock()
			return nil
		}
		changed, mine := r.changed, !r.polling
		r.polling = true
		r.mu.Unlock()
		if mine {
			last, err := r.poll(ctx)
			if err != nil || !last {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// poll waits there, for all who wait here.
func (r *remote) poll(ctx context.Context) (last bool, err error) {
	last, err = r.ask(ctx, pollFor)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polling = false
	r.wake()
	return last, err
}

// remoteBytes are those of a segment in one version.
type remoteBytes struct {
	ctx     context.Context //nolint:containedctx // of the view
	remote  *remote
	segment core.LogSegment
	version uint64
	size    int64
}

// ReadAt implements [io.ReaderAt].
func (b *remoteBytes) ReadAt(p []byte, at int64) (n int, err error) {
	r := b.remote
	r.reading.Lock()
	defer r.reading.Unlock()
	for n < len(p) {
		if at >= b.size {
			return n, io.EOF
		}
		c := &r.chunk
		if c.version != b.version || at < c.at || at >= c.at+int64(len(c.data)) {
			data := make([]byte, min(chunkSize, b.size-at))
			if err := r.peers.ReadAt(b.ctx, b.segment, b.version, data, at); err != nil {
				return n, err
			}
			*c = chunk{version: b.version, at: at, data: data}
		}
		part := c.data[at-c.at:]
		part = part[:min(int64(len(part)), b.size-at)]
		copied := copy(p[n:], part)
		n, at = n+copied, at+int64(copied)
	}
	return n, nil
}
