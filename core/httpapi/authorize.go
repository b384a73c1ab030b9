package httpapi

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/engine"
)

type (
	workerKey    struct{}
	tokenKey     struct{}
	grantKey     struct{}
	principalKey struct{}
)

// leaseHeader carries the lease of the step that a report is about.
const leaseHeader = "X-Stroem-Lease"

func unauthenticated(message string) error {
	return core.Errorf(core.CodeUnauthenticated, "", "%s", message)
}

// authorize lets a request through to a route or says why not. It is asked for every route, by the router's only handler; what
// is not known to be allowed is not.
func (a *API) authorize(c *fiber.Ctx, to permission) error {
	switch to.who {
	case anybody:
		return nil
	case sharedToken, worker, files:
		return a.authorizeWorker(c, to.who)
	case replica:
		return a.authorizeReplica(c)
	case signedIn, session, viewer, operator, admin:
		return a.authorizeUser(c, to, false)
	case watcher:
		return a.authorizeUser(c, permission{viewer, to.of}, true)
	default:
		return core.Errorf(core.CodeForbidden, "", "Nobody may do this")
	}
}

// principal is the user that was let through, and what they may do.
type principal struct {
	auth.Principal
	power access.Power
	open  bool // there are no users: everybody may do everything
}

// sees tells whether a task exists for the user.
func (p *principal) sees(workspace, task string) bool {
	return p.power.Task(workspace, task) >= access.LevelView
}

// everybody is who calls a server without users.
var everybody = &principal{Principal: auth.Principal{User: core.User{Role: core.RoleAdmin}}, open: true}

// authorizeUser lets in a user with a token, or with a ticket if that will do.
func (a *API) authorizeUser(c *fiber.Ctx, to permission, ticket bool) error {
	if a.Auth == nil {
		if to.who == signedIn || to.who == session {
			return core.Errorf(core.CodeUnauthenticated, "auth_not_configured", "Authentication not configured")
		}
		if err := a.requireOwnPage(c); err != nil {
			return err
		}
		p := *everybody
		p.power = a.powers.of(&p.User)
		c.Locals(principalKey{}, &p)
		return a.inScope(c, to, &p)
	}
	who, err := a.authenticate(c, ticket)
	if err != nil {
		return err
	}
	p := &principal{Principal: who, power: a.powers.of(&who.User)}
	c.Locals(principalKey{}, p)
	switch {
	case to.who == signedIn:
		return nil
	case to.who == session && who.APIKey != "":
		return core.Errorf(core.CodeForbidden, "api_key_not_allowed", "API key management requires JWT authentication")
	case to.who == session:
		return nil
	case !who.User.Role.Covers(core.Role(to.who)):
		return core.Errorf(core.CodeForbidden, "role_required", "This takes the role %s, and %s has the role %s", to.who, who.User.Email, who.User.Role)
	}
	return a.inScope(c, to, p)
}

func (a *API) authenticate(c *fiber.Ctx, ticket bool) (auth.Principal, error) {
	header := c.Get(fiber.HeaderAuthorization)
	if text := c.Query("ticket"); ticket && header == "" && text != "" {
		return a.spendTicket(c, text)
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return auth.Principal{}, unauthenticated("Authentication required")
	}
	return a.Auth.Authenticate(requestContext(c), token)
}

// inScope asks the rules of access about what a request is for. What is hidden does not exist.
func (a *API) inScope(c *fiber.Ctx, to permission, p *principal) error {
	if to.of == ofAll || !p.power.Narrowed() {
		return nil // the role says it all
	}
	switch to.of {
	case ofWorkspace:
		name, err := param(c, "ws")
		if err == nil && !p.power.Workspace(name) {
			err = core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
		}
		return err
	case ofTask, ofTrigger:
		workspace, err := param(c, "ws")
		if err != nil {
			return err
		}
		if !p.power.Workspace(workspace) {
			return core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", workspace)
		}
		name, err := param(c, "name")
		if err != nil {
			return err
		}
		if to.of == ofTask {
			return mayDo(to, p.power.Task(workspace, name), "Task not found")
		}
		ws, _, err := a.Workspaces.Workspace(workspace)
		if err != nil {
			return err
		}
		if t := ws.Triggers[name]; t != nil {
			return mayDo(to, p.power.Task(workspace, t.Task), "Trigger not found")
		}
		return nil // there is none: the handler says so
	case ofJob:
		id, err := uuidParam(c, "job")
		if err != nil {
			return err
		}
		workspace, task, err := a.Store.JobScope(requestContext(c), id)
		if err != nil {
			return err
		}
		return mayDo(to, p.power.Task(workspace, task), "Job not found")
	default:
		return core.Errorf(core.CodeForbidden, "", "Nobody may do this")
	}
}

func mayDo(to permission, level access.Level, hidden string) error {
	switch {
	case level < access.LevelView:
		return core.Errorf(core.CodeNotFound, "", "%s", hidden)
	case to.who != viewer && level < access.LevelRun:
		return core.Errorf(core.CodeForbidden, "task_not_allowed", "The rules of access let you see this, and not run or cancel it")
	}
	return nil
}

func (a *API) authorizeWorker(c *fiber.Ctx, who who) error {
	header := c.Get(fiber.HeaderAuthorization)
	if header == "" {
		return unauthenticated("Missing authorization header")
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return unauthenticated("Invalid authorization header format")
	}
	if who == sharedToken {
		name, err := a.Engine.AuthenticateToken(token)
		c.Locals(tokenKey{}, name)
		return err
	}
	if who == files && strings.HasPrefix(token, engine.WorkspaceTokenPrefix) {
		grant, err := a.Engine.OpenWorkspaceToken(requestContext(c), token)
		if err != nil {
			return err
		}
		c.Locals(grantKey{}, grant)
		return nil
	}
	id, err := a.Engine.AuthenticateWorker(requestContext(c), token)
	if err != nil {
		return err
	}
	c.Locals(workerKey{}, id)
	return nil
}

// caller is the worker that was let through.
func caller(c *fiber.Ctx) uuid.UUID {
	id, _ := c.Locals(workerKey{}).(uuid.UUID)
	return id
}

// user is the one that was let through. It is nobody, who may do nothing, where no user was let through.
func user(c *fiber.Ctx) *principal {
	if p, ok := c.Locals(principalKey{}).(*principal); ok {
		return p
	}
	return &principal{}
}

// requestContext is the context of a request's own work. It does not end with the client's connection, of which fasthttp
// does not tell, nor with a shutdown, which waits for the request.
func requestContext(*fiber.Ctx) context.Context { return context.Background() }
