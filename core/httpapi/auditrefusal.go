package httpapi

import (
	"sync"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"

	"github.com/stroem/stroem/core"
)

// auditedRoutes are those, by operationId, of which it is noted who was not let through, as what they do is noted.
var auditedRoutes = map[string]string{
	"executeTask": "job.execute", "cancelJob": "job.cancel", "refreshWorkspace": "workspace.refresh", "registerWorker": "worker.register",
	"createUser": "user.create", "changeUser": "user.change", "createAPIKey": "api_key.create", "deleteAPIKey": "api_key.delete",
	"listAudit": "audit.read", "revokeWorker": "worker.revoke", "restoreWorker": "worker.restore",
}

// How many refusals are noted, of those who are not known and of all others: so many at once, and then so many a second.
const (
	refusalBurst = 100
	refusalRate  = 2
)

// refusals keeps whoever is refused from filling the audit log.
type refusals struct {
	limiter *rate.Limiter

	mu     sync.Mutex
	passed int // over since the last one that was noted
}

func newRefusals() *refusals { return &refusals{limiter: rate.NewLimiter(refusalRate, refusalBurst)} }

// note tells whether one more is to be noted, and how many were not since the last one that was.
func (r *refusals) note() (passed int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.limiter.Allow() {
		r.passed++
		return 0, false
	}
	passed, r.passed = r.passed, 0
	return passed, true
}

// auditRefusal notes that a request was not let through to a route. In a flood not all are: the next one that is noted says
// how many there were before it.
func (a *API) auditRefusal(c *fiber.Ctx, r route, err error) {
	action, audited := auditedRoutes[r.id]
	if !audited || !refused(err) {
		return
	}
	from := a.refused
	if actor(c).Type == core.ActorAnonymous {
		from = a.strangers
	}
	code, reason, _ := reasonOf(err)
	a.auditBounded(c, from, action, refusedTarget(c), map[string]any{"code": code, "reason": reason})
}

// auditStranger notes the refusal of somebody who is not known, as auditRefusal does. A wrong password is not for it: it takes the
// server's time, and is counted.
func (a *API) auditStranger(c *fiber.Ctx, action, target string, details map[string]any) {
	a.auditBounded(c, a.strangers, action, target, details)
}

func (a *API) auditBounded(c *fiber.Ctx, from *refusals, action, target string, details map[string]any) {
	passed, ok := from.note()
	if !ok {
		return
	}
	if passed > 0 {
		details["not_recorded_before"] = passed
	}
	a.audit(c, action, target, core.AuditDenied, details)
}

// refusedTarget is what the path names, as the entries of what is let through have it.
func refusedTarget(c *fiber.Ctx) string {
	if id := c.Params("id"); id != "" {
		return id
	}
	target, _ := param(c, "ws") // what is not well encoded names nothing
	if task, err := param(c, "name"); err == nil && task != "" {
		target += "/" + task
	}
	return target
}
