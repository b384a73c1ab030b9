package worker_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

// described is what a worker tells of its plugins.
type described struct {
	mu   sync.Mutex
	list []api.Plugin
}

func (d *described) get() []api.Plugin {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list
}

func (d *described) set(state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = []api.Plugin{{Name: "shell", State: state}}
}

func TestTheServerHearsHowPluginsAre(t *testing.T) {
	t.Parallel()
	s, runner, plugins := newServer(t), newScripted(nil), &described{}
	plugins.set("ready")
	startWorker(t, s, runner, func(o *worker.Options) {
		o.Changed, o.Plugins, o.Labels = runner.Changed, plugins.get, []string{"label"}
	})
	s.eventually("the worker claims", func() bool { return len(s.claims) > 0 })
	s.do(func() {
		require.Empty(t, s.plugins, "the registration told it")
		for _, w := range s.workers {
			require.Equal(t, "ready", w.Plugins[0].State)
		}
		s.faults[heartbeatPath] = []fault{dropped, lost, proxy503}
	})
	plugins.set("backoff")
	runner.offer()
	s.eventually("it tells of the change, however often it takes", func() bool { return len(s.plugins) == 2 })
	plugins.set("ready")
	runner.offer(pluginapi.ActionType{Name: "acme.other", Tag: "x"})
	s.eventually("it tells of the next one", func() bool { return len(s.plugins) == 3 })
	runner.offer(pluginapi.ActionType{Name: "acme.other", Tag: "x"})
	s.eventually("it claims with what is offered", func() bool { return len(s.claims[len(s.claims)-1].Tags) == 3 })
	s.do(func() {
		require.Len(t, s.plugins, 3, "nothing is told twice but what was lost")
		require.Equal(t, "backoff", s.plugins[1].Plugins[0].State)
		require.Empty(t, s.plugins[1].Tags)
		require.Equal(t, "ready", s.plugins[2].Plugins[0].State)
		require.Equal(t, []string{"acme.other", "label", "x"}, s.plugins[2].Tags)
	})
}

// TestPluginsThatTheServerRefuses goes on with what it was refused for: the next change is told again.
func TestPluginsThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	s, runner, plugins := newServer(t), newScripted(nil), &described{}
	plugins.set("ready")
	startWorker(t, s, runner, func(o *worker.Options) { o.Changed, o.Plugins = runner.Changed, plugins.get })
	s.eventually("the worker claims", func() bool { return len(s.claims) > 0 })
	s.do(func() { s.faults[heartbeatPath] = []fault{refusal} })
	plugins.set("failed")
	runner.offer()
	s.eventually("it is refused", func() bool { return len(s.faults[heartbeatPath]) == 0 })
	plugins.set("unhealthy")
	runner.offer()
	s.eventually("the next change is told", func() bool { return len(s.plugins) > 0 })
}
