package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

func (a *API) createAPIKey(c *fiber.Ctx) error {
	var request api.NewAPIKey
	if err := decode(c, &request, true); err != nil {
		return err
	}
	days := 0
	if request.ExpiresInDays != nil {
		if days = *request.ExpiresInDays; days <= 0 {
			return invalid("expires_in_days must be positive")
		}
	}
	text, key, err := a.Auth.CreateKey(requestContext(c), user(c).User.ID, request.Name, days)
	if err != nil {
		return err
	}
	a.audit(c, "api_key.create", key.Prefix, core.AuditOK, map[string]any{"name": key.Name})
	return c.JSON(api.CreatedAPIKey{Key: text, Name: key.Name, Prefix: key.Prefix, ExpiresAt: optionalTime(key.ExpiresAt)})
}

func (a *API) listAPIKeys(c *fiber.Ctx) error {
	keys, err := a.Auth.Keys(requestContext(c), user(c).User.ID)
	if err != nil {
		return err
	}
	list := make([]api.UserAPIKey, len(keys))
	for i, k := range keys {
		list[i] = api.UserAPIKey{
			Prefix: k.Prefix, Name: k.Name, CreatedAt: k.CreatedAt.UTC(), ExpiresAt: optionalTime(k.ExpiresAt), LastUsedAt: optionalTime(k.LastUsedAt),
		}
	}
	return c.JSON(list)
}

func (a *API) deleteAPIKey(c *fiber.Ctx) error {
	prefix, err := param(c, "prefix")
	if err != nil {
		return err
	}
	if err := a.Auth.DeleteKeys(requestContext(c), user(c).User.ID, prefix); err != nil {
		return err
	}
	a.audit(c, "api_key.delete", prefix, core.AuditOK, nil)
	return c.JSON(api.Status{Status: "ok"})
}
