package httpapi

import (
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
)

// powersSize bounds how many users are remembered; when it is reached all are forgotten.
const powersSize = 10_000

// powers remembers what users may do, which takes a look at every rule. It is safe for concurrent use.
type powers struct {
	policy *access.Policy

	mu     sync.Mutex
	byUser map[uuid.UUID]knownPower
}

// knownPower is what a user may do as long as the rules that name them are the same.
type knownPower struct {
	email  string
	role   core.Role
	groups []string
	power  access.Power
}

func (p *powers) of(u *core.User) access.Power {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.byUser[u.ID]
	if ok && known.email == u.Email && known.role == u.Role && slices.Equal(known.groups, u.Groups) {
		return known.power
	}
	if p.byUser == nil || len(p.byUser) >= powersSize {
		p.byUser = map[uuid.UUID]knownPower{}
	}
	known = knownPower{u.Email, u.Role, u.Groups, p.policy.For(*u)}
	p.byUser[u.ID] = known
	return known.power
}
