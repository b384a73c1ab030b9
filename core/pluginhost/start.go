package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/stroem/stroem/pluginapi"
)

// start launches a process and configures it.
func (s *supervisor) start(stop context.Context) {
	checked, err := s.check(s.host.config.RequirePinned)
	if err != nil {
		s.on(eventRefused, err)
		return
	}
	i, description, err := launch(stop, s.candidate, s.host.config.Limits, s.log)
	if err != nil {
		s.on(eventLost, fmt.Errorf("start: %w", err))
		return
	}
	if err := s.unchanged(checked); err != nil {
		i.stop(0)
		s.on(eventLost, err)
		return
	}
	s.on(eventDescribed, nil)
	specs, health, err := s.configure(stop, i, description)
	if err != nil {
		i.stop(0)
		e := eventLost
		if _, refused := errors.AsType[*refusal](err); refused {
			e = eventRefused
		}
		s.on(e, err)
		return
	}
	s.mu.Lock()
	s.current, s.description, s.specs = i, description, specs
	s.mu.Unlock()
	if health.State == pluginapi.Healthy {
		s.on(eventHealthy, nil)
	} else {
		s.on(eventSick, errors.New(health.Message))
	}
}

// configure takes a process from its description to its first health check. The schemas are those of its action types.
func (s *supervisor) configure(stop context.Context, i *instance, d *pluginapi.Description) (specSchemas, *pluginapi.Health, error) {
	specs, err := checkDescription(s.candidate, d)
	if err != nil {
		return nil, nil, &refusal{err}
	}
	if err := s.host.claim(s, d); err != nil {
		return nil, nil, &refusal{err}
	}
	config, err := settings(s.candidate, d)
	if err != nil {
		return nil, nil, &refusal{err}
	}
	data, err := s.dataDir()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(stop, s.host.config.Limits.Configure)
	defer cancel()
	if err := i.plugin().Configure(ctx, &pluginapi.Config{Settings: config, DataDir: data}); err != nil {
		if pluginapi.CodeOf(err) == pluginapi.CodeInvalid {
			return nil, nil, refuse("configure: %w", err)
		}
		return nil, nil, fmt.Errorf("configure: %w", err)
	}
	s.removeLost(stop, i)
	health, err := s.health(stop, i)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for its health: %w", err)
	}
	return specs, health, nil
}

func (s *supervisor) dataDir() (string, error) {
	if s.host.config.DataDir == "" {
		return "", nil
	}
	dir := filepath.Join(s.host.config.DataDir, s.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create the plugin's directory: %w", err)
	}
	return dir, nil
}

// removeLost has the new process remove what runs of processes before it left behind, before it is offered work. It tries
// once, and not for longer than Limits.Remove, however many they are: others wait for the plugin.
func (s *supervisor) removeLost(stop context.Context, i *instance) {
	ctx, cancel := context.WithTimeout(stop, s.host.config.Limits.Remove)
	defer cancel()
	var group sync.WaitGroup
	for _, entry := range s.runs.lost(i) {
		group.Go(func() {
			if err := i.runner().Remove(ctx, entry.request()); err != nil {
				s.log.WarnContext(stop, "remains of a lost run could not be removed", "run", entry.request().RunID, "error", err)
			}
			s.runs.done(entry)
		})
	}
	group.Wait()
}
