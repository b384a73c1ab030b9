package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

func (a *API) getConfig(c *fiber.Ctx) error {
	config := api.Config{AuthRequired: a.Auth != nil, HasInternalAuth: a.Auth != nil && a.Passwords, OIDCProviders: []api.OIDCProvider{}}
	if a.Auth != nil && a.SignIn != nil {
		config.OIDCProviders = a.SignIn.Providers()
	}
	return c.JSON(config)
}

func (a *API) livez(c *fiber.Ctx) error { return c.JSON(api.Health{Status: "ok"}) }

// readyz is ready once the database answers and every workspace was tried once, good or bad. How the plugins are is told,
// but a server whose plugins fail still serves all that does not need them.
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
	if a.Plugins != nil {
		plugins := a.Plugins()
		health.Components["plugins"] = summary(plugins)
		if a.Auth == nil { // what they say is for users, who ask /api/plugins
			health.Plugins = plugins
		}
	}
	if health.Status != "ok" {
		c.Status(fiber.StatusServiceUnavailable)
	}
	return c.JSON(health)
}

// summary is ok if all plugins are.
func summary(plugins []api.Plugin) string {
	down := 0
	for _, p := range plugins {
		if p.State != pluginReady {
			down++
		}
	}
	if down == 0 {
		return "ok"
	}
	return fmt.Sprintf("%d of %d not ready", down, len(plugins))
}

// getMetrics serves them here unless they have an address of their own.
func (a *API) getMetrics(c *fiber.Ctx) error {
	if a.Metrics == nil {
		return core.Errorf(core.CodeNotFound, "", "Metrics are not served here: see metrics in the server's configuration")
	}
	return adaptor.HTTPHandler(a.Metrics)(c)
}
