package engine_test

import (
	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
)

// revoke shuts a worker out. It does not keep it from calling: that it is let in no more is for others to see to.
func (m *model) revoke(at int, w *modelWorker) {
	err := m.ask("revoke", at, func(e *engine.Engine) error {
		_, err := e.Revoke(m.ctx, w.id)
		return err
	})
	if err != nil {
		m.problem("revoke: %s", err)
		return
	}
	now := m.tick()
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.revoked == 0 {
		w.revoked = now
	}
}

// restore lets the name of a worker in again. Nothing is said of the worker itself from then on.
func (m *model) restore(at int, w *modelWorker) {
	m.mu.Lock()
	for _, other := range m.workers {
		if other.name == w.name {
			other.restored = true
		}
	}
	m.mu.Unlock()
	if err := m.ask("restore", at, func(e *engine.Engine) error { return e.Restore(m.ctx, w.id) }); err != nil && core.ErrorCode(err) != core.CodeNotFound {
		m.problem("restore: %s", err)
	}
}
