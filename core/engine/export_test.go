package engine

// QueuedCreations is how many jobs wait for the transaction that is under way.
func (e *Engine) QueuedCreations() int { return len(e.creations.queue) }
