package httpapi

import (
	"math"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

var auditQuery = append([]parameter{
	{"actor", "only what this one did: a user's e-mail, a worker's name, or a type of actors"},
	{"action", "only this action, or those that begin with it if it ends with a dot, as user."},
	{"target", "only what was done to this"},
	{"result", "only these results, comma-separated: ok, denied, failed"},
	{"since", "at or after this time (RFC 3339)"},
	{"until", "before this time (RFC 3339)"},
	{"before", "go on behind the entry of this id"},
}, pageQuery...)

func (a *API) listAudit(c *fiber.Ctx) error {
	q := &query{c: c}
	f := core.AuditFilter{
		Actor: q.text("actor"), Action: q.text("action"), Target: q.text("target"),
		Results: choices(q, "result", core.AuditOK, core.AuditDenied, core.AuditFailed),
		Since:   q.time("since"), Until: q.time("until"), Before: q.number("before", 0, 1, math.MaxInt64),
		Limit: int(q.number("limit", defaultLimit, 1, maxLimit)), Offset: int(q.number("offset", 0, 0, maxOffset)),
	}
	if q.err != nil {
		return q.err
	}
	entries, total, err := a.Store.Audit(requestContext(c), f)
	if err != nil {
		return err
	}
	list := make([]api.AuditEntry, len(entries))
	for i := range entries {
		list[i] = presentAudit(&entries[i])
	}
	setTotal(c, total)
	if len(entries) == f.Limit {
		setNext(c, "before", strconv.FormatInt(entries[len(entries)-1].ID, 10))
	}
	return c.JSON(list)
}

func presentAudit(e *core.AuditEntry) api.AuditEntry {
	return api.AuditEntry{
		ID: e.ID, At: e.At.UTC(), Actor: e.Actor.Name, ActorType: string(e.Actor.Type), Action: e.Action, Target: e.Target,
		Result: e.Result, RemoteAddress: optional(e.RemoteAddress), RequestID: optional(e.RequestID), Details: e.Details,
	}
}
