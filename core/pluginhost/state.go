package pluginhost

import "time"

// State is where a plugin is in its life; see the package documentation.
type State string

// The states of a plugin.
const (
	StateStarting    State = "starting"
	StateConfiguring State = "configuring"
	StateReady       State = "ready"
	StateUnhealthy   State = "unhealthy"
	StateBackoff     State = "backoff"
	StateFailed      State = "failed"
	StateDraining    State = "draining"
)

// event is what moves a plugin from one state to another.
type event string

const (
	eventDescribed event = "described" // the process runs and has said what it is
	eventHealthy   event = "healthy"   // it can work; after configuring: it has its configuration, too
	eventSick      event = "sick"      // it says that it cannot work now
	eventMissed    event = "missed"    // no answer to a health check
	eventLost      event = "lost"      // it did not start, has ended, or broke off
	eventRefused   event = "refused"   // it must not run: checksum, configuration, conflict
	eventDue       event = "due"       // the back-off is over
	eventStop      event = "stop"      // the host drains
)

// transitions without those that count; what is not here leaves the state as it is.
var transitions = map[State]map[event]State{
	StateStarting: {eventDescribed: StateConfiguring, eventRefused: StateFailed, eventStop: StateDraining},
	StateConfiguring: {
		eventHealthy: StateReady, eventSick: StateUnhealthy, eventRefused: StateFailed, eventStop: StateDraining,
	},
	StateReady:     {eventSick: StateUnhealthy, eventRefused: StateFailed, eventStop: StateDraining},
	StateUnhealthy: {eventHealthy: StateReady, eventRefused: StateFailed, eventStop: StateDraining},
	StateBackoff:   {eventDue: StateStarting, eventRefused: StateFailed, eventStop: StateDraining},
	StateFailed:    {eventStop: StateDraining},
}

// machine decides about one plugin. It does nothing itself and reads no clock.
type machine struct {
	limits   Limits
	state    State
	since    time.Time   // when it came into state
	misses   int         // unanswered health checks in a row
	starts   []time.Time // within Limits.StartWindow, and the latest
	total    int         // starts ever
	failures int         // losses since it was last up for a whole StartWindow
	upSince  time.Time   // when it was configured; zero when it is not
}

// newMachine returns a plugin at its first start.
func newMachine(limits Limits, now time.Time) *machine {
	m := &machine{limits: limits, since: now}
	m.start(now)
	return m
}

func (m *machine) start(now time.Time) {
	m.state, m.misses, m.upSince = StateStarting, 0, time.Time{}
	m.starts = append(m.recent(now), now)
	m.total++
}

// recent returns the starts that still count.
func (m *machine) recent(now time.Time) []time.Time {
	for i, start := range m.starts {
		if now.Sub(start) < m.limits.StartWindow {
			return m.starts[i:]
		}
	}
	return nil
}

// on takes in an event and returns the state after it.
func (m *machine) on(e event, now time.Time) State {
	before := m.state
	switch {
	case e == eventLost:
		m.lose(now)
	case e == eventMissed:
		m.miss(now)
	case e == eventDue && m.state == StateBackoff:
		m.start(now)
	default:
		m.move(e, now)
	}
	if m.state != before {
		m.since = now
	}
	return m.state
}

func (m *machine) move(e event, now time.Time) {
	next, ok := transitions[m.state][e]
	if e == eventHealthy || e == eventSick {
		m.misses = 0
		if m.state == StateConfiguring {
			m.upSince = now
		}
	}
	if ok {
		m.state = next
	}
}

func (m *machine) miss(now time.Time) {
	if m.state == StateConfiguring { // not offered before it has answered once
		m.move(eventSick, now)
	}
	m.misses++
	if m.misses >= m.limits.Misses {
		m.lose(now)
	}
}

func (m *machine) lose(now time.Time) {
	if m.state == StateFailed || m.state == StateDraining || m.state == StateBackoff {
		return
	}
	if !m.upSince.IsZero() && now.Sub(m.upSince) >= m.limits.StartWindow {
		m.failures = 0
	}
	m.failures++
	m.state = StateBackoff
	if len(m.recent(now)) >= m.limits.Starts {
		m.state = StateFailed
	}
}

// backoff is how long to wait before the next start. Random is in [0, 1): up to half of the wait is left to it, so that
// plugins that died together do not come back together.
func (m *machine) backoff(random float64) time.Duration {
	wait := m.limits.BackoffMax
	if shift := m.failures - 1; shift < 30 {
		wait = min(wait, m.limits.BackoffMin<<shift)
	}
	return wait/2 + time.Duration(random*float64(wait/2))
}
