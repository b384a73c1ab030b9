package scheduler

import (
	"container/heap"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/cron"
)

// key names a trigger among those of all workspaces.
type key struct{ workspace, trigger string }

// entry is a trigger that fires by time.
type entry struct {
	core.Schedule
	timetable *cron.Timetable // nil: its workspace is not loaded
	place     int             // in the queue
}

// absent is the place of an entry that is not in the queue.
const absent = -1

// queue has the entries that fire again, the next one first.
type queue []*entry

// Len implements heap.Interface.
func (q queue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue) Less(i, j int) bool { return q[i].NextFire.Before(q[j].NextFire) }

// Swap implements heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry) //nolint:forcetypeassert // heap.Push gets nothing else
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	last.place = absent
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	return last
}

// put places an entry by its next fire, or takes it out if there is none.
func (q *queue) put(e *entry) {
	switch {
	case e.NextFire.IsZero():
		q.remove(e)
	case e.place == absent:
		heap.Push(q, e)
	default:
		heap.Fix(q, e.place)
	}
}

func (q *queue) remove(e *entry) {
	if e.place != absent {
		heap.Remove(q, e.place)
	}
}

// due takes out what fires at now or before.
func (q *queue) due(now time.Time) []*entry {
	var due []*entry
	for len(*q) > 0 && !(*q)[0].NextFire.After(now) {
		due = append(due, heap.Pop(q).(*entry)) //nolint:forcetypeassert // there is nothing else in it
	}
	return due
}
