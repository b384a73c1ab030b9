package logkeep

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// maxSeen is of how many jobs it is remembered that their logs have grown.
const maxSeen = 100_000

// grown are the logs that have grown since they were last read to be archived.
type grown struct {
	mu   sync.Mutex
	seen map[uuid.UUID]bool
	news []uuid.UUID // those of them of which the database has not been told
}

// add is called for each batch of lines, after it was stored.
func (g *grown) add(job uuid.UUID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen[job] {
		return
	}
	if len(g.seen) >= maxSeen {
		clear(g.seen) // it is told again
	}
	g.seen[job] = true
	g.news = append(g.news, job)
}

// forget is called before a log is read.
func (g *grown) forget(job uuid.UUID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.seen, job)
}

func (g *grown) has(job uuid.UUID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[job]
}

// take returns at most so many jobs of which the database has not been told.
func (g *grown) take(limit int) []uuid.UUID {
	g.mu.Lock()
	defer g.mu.Unlock()
	some := g.news[:min(len(g.news), limit)]
	g.news = g.news[len(some):]
	return some
}

func (g *grown) giveBack(jobs []uuid.UUID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.news = append(g.news, jobs...)
}

// toldAtOnce is of how many logs the database is told in one statement.
const toldAtOnce = 500

// tell tells the database which logs have grown. Nobody notes meanwhile that they are archived: either that comes first, or whoever
// does it sees that the log has grown.
func (k *Keeper) tell(ctx context.Context) error {
	for {
		jobs := k.grown.take(toldAtOnce)
		if len(jobs) == 0 {
			return nil
		}
		k.marking.Lock()
		err := k.options.Store.LogsGrown(ctx, k.ID, jobs)
		k.marking.Unlock()
		if err != nil {
			k.grown.giveBack(jobs)
			return err
		}
	}
}
