package worker

import (
	"reflect"
	"time"

	"github.com/stroem/stroem/core/api"
)

// plugins is what is told of them to the server.
func (w *Worker) plugins() []api.Plugin {
	if w.Plugins == nil {
		return nil
	}
	return w.Plugins()
}

// reportPlugins tells the server whenever the plugins are not what it was told last. News that come while it is told
// are told together.
func (s *session) reportPlugins() {
	if s.Changed == nil || s.Plugins == nil {
		return
	}
	var delay backoff
	for {
		changed := s.Changed()
		if now := s.plugins(); len(now) > 0 && !reflect.DeepEqual(now, s.told) {
			err := s.note(s.server.Heartbeat(s.calls, api.Heartbeat{Tags: s.tags(), Plugins: now}))
			switch {
			case err == nil:
				s.told, delay = now, backoff{}
				continue // it may have changed since
			case s.calls.Err() != nil:
				return
			case !refused(err):
				s.Logger.Warn("cannot tell the server of the plugins, trying again", "error", err)
				if delay.wait(s.calls, 100*time.Millisecond, 5*time.Second) != nil {
					return
				}
				continue
			}
			s.Logger.Warn("the server refuses what it is told of the plugins", "error", err)
		}
		select {
		case <-s.calls.Done():
			return
		case <-changed:
		}
	}
}
