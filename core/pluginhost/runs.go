package pluginhost

import (
	"maps"
	"slices"
	"sync"

	"github.com/stroem/stroem/pluginapi"
)

// run is a call of Run or Attach.
type run struct {
	instance   *instance // that executes it
	attachable bool
	mu         sync.Mutex
	remove     pluginapi.RemoveRequest
}

// runs are the runs of a plugin that are under way, and those whose instance has gone with them.
type runs struct {
	mu  sync.Mutex
	all map[*run]struct{}
}

func newRuns() *runs { return &runs{all: map[*run]struct{}{}} }

func (r *runs) add(i *instance, remove pluginapi.RemoveRequest, attachable bool) *run {
	entry := &run{instance: i, attachable: attachable, remove: remove}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[entry] = struct{}{}
	return entry
}

func (r *runs) done(entry *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, entry)
}

// lost returns the runs of instances other than the current one, but for those that may go on.
func (r *runs) lost(current *instance) []*run {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Collect(maps.Keys(r.all))
	return slices.DeleteFunc(all, func(entry *run) bool { return entry.instance == current || entry.goesOn() })
}

// goesOn tells whether the run outlives its plugin, as far as is known.
func (r *run) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attachable && len(r.remove.State) > 0
}

// request says what to remove, with the state as far as it came.
func (r *run) request() *pluginapi.RemoveRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	request := r.remove
	return &request
}

// started keeps the state of a run on its way to the host's own output.
type started struct {
	pluginapi.Output
	run *run
}

func (s started) Started(state []byte) error {
	s.run.mu.Lock()
	s.run.remove.State = slices.Clone(state)
	s.run.mu.Unlock()
	return s.Output.Started(state)
}
