package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
)

func (a *API) audit(*fiber.Ctx, string, string, string, map[string]any) {}

func (a *API) auditAs(*fiber.Ctx, core.Actor, string, string, string, map[string]any) {}

func actorOf(u core.User) core.Actor { return core.Actor{Type: core.ActorUser, Name: u.Email} }
