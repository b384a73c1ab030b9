package httpapi

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
)

type (
	workerKey struct{}
	tokenKey  struct{}
	grantKey  struct{}
)

// leaseHeader carries the lease of the step that a report is about.
const leaseHeader = "X-Stroem-Lease"

func unauthenticated(message string) error {
	return core.Errorf(core.CodeUnauthenticated, "", "%s", message)
}

// authorize lets a request through to a route or says why not. There are no users yet: the server listens on loopback
// alone unless it is told otherwise.
func (a *API) authorize(c *fiber.Ctx, who access) error {
	if who == public || who == user {
		return nil
	}
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

// requestContext is the context of a request's own work. It does not end with the client's connection, of which fasthttp
// does not tell, nor with a shutdown, which waits for the request.
func requestContext(*fiber.Ctx) context.Context { return context.Background() }
