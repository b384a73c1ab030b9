package httpapi

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core/api"
)

func (a *API) getConfig(c *fiber.Ctx) error {
	return c.JSON(api.Config{OIDCProviders: []api.OIDCProvider{}})
}

func (a *API) livez(c *fiber.Ctx) error { return c.JSON(api.Health{Status: "ok"}) }

// readyz is ready once the database answers and every workspace was tried once, good or bad.
func (a *API) readyz(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(requestContext(c), 3*time.Second)
	defer cancel()
	health := api.Health{Status: "ok", Components: map[string]string{"database": "ok", "workspaces": "ok"}}
	if err := a.Store.Ping(ctx); err != nil {
		health.Status, health.Components["database"] = "unavailable", "no answer"
	}
	if !a.Workspaces.Ready() {
		health.Status, health.Components["workspaces"] = "unavailable", "loading"
	}
	if health.Status != "ok" {
		c.Status(fiber.StatusServiceUnavailable)
	}
	return c.JSON(health)
}
