package httpapi

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/ratelimit"
	"github.com/stroem/stroem/core/webhook"
)

// webhookLimit is the size of a body that webhooks take.
const webhookLimit = 5 * mib

func (a *API) callWebhook(c *fiber.Ctx) error {
	if c.Method() == fiber.MethodHead { // whoever only looks must not start anything
		c.Set(fiber.HeaderAllow, "GET, POST")
		return fiber.ErrMethodNotAllowed
	}
	name, err := param(c, "name")
	if err != nil {
		return err
	}
	target := a.webhooks.Find(requestContext(c), name)
	if target == nil {
		a.Deliveries.Deliveries.Add(1, "", statusClass(fiber.StatusNotFound))
		return errNoWebhook
	}
	client := a.client(c)
	delivery := core.Delivery{
		Workspace: target.Workspace, Trigger: target.Name, Method: c.Method(), RemoteAddress: addressText(client),
		Bytes: len(c.Request().Body()), Status: fiber.StatusOK,
	}
	accepted, err := a.deliver(c, target, client, delivery)
	if err != nil {
		a.recordRefusal(c, target, delivery, err)
		return err
	}
	a.Deliveries.Deliveries.Add(1, target.Workspace, statusClass(delivery.Status))
	return c.JSON(accepted)
}

var errNoWebhook = core.Errorf(core.CodeNotFound, "", "Webhook not found")

func (a *API) deliver(c *fiber.Ctx, target *webhook.Target, client netip.Addr, delivery core.Delivery) (accepted api.WebhookAccepted, err error) {
	if !target.Trigger.Enabled {
		return accepted, errNoWebhook
	}
	if retryAfter, ok := a.WebhookRate.Take(target.Trigger.Name + " " + ratelimit.AddressKey(client)); !ok {
		return accepted, tooManyRequests(c, retryAfter)
	}
	if delivery.Bytes > webhookLimit {
		return accepted, core.Errorf(core.CodeTooLarge, "", "The request's body has %d bytes, at most %d are allowed here", delivery.Bytes, webhookLimit)
	}
	request := webhookRequest(c)
	if err := target.Check(request); err != nil {
		return accepted, err
	}
	id, err := a.Engine.Execute(requestContext(c), engine.Execute{
		Workspace: target.Workspace, Task: target.Trigger.Task, Input: request.Input(target.Trigger),
		Source: core.SourceWebhook, SourceID: target.Workspace + "/" + target.Name, Delivery: &delivery,
	})
	if err != nil {
		return accepted, err
	}
	return api.WebhookAccepted{JobID: id.String(), Trigger: target.Trigger.Name, Task: target.Trigger.Task}, nil
}

func webhookRequest(c *fiber.Ctx) *webhook.Request {
	r := &webhook.Request{
		Method: c.Method(), Query: map[string][]string{}, Headers: map[string][]string{}, Body: c.Request().Body(),
	}
	c.Context().QueryArgs().VisitAll(func(key, value []byte) {
		r.Query[string(key)] = append(r.Query[string(key)], string(value))
	})
	c.Request().Header.VisitAll(func(key, value []byte) {
		name := strings.ToLower(string(key))
		r.Headers[name] = append(r.Headers[name], string(value))
	})
	return r
}

// recordRefusal notes a request that started nothing. That it could not be noted is no reason for another answer.
func (a *API) recordRefusal(c *fiber.Ctx, target *webhook.Target, delivery core.Delivery, err error) {
	delivery.Status, delivery.Reason = fiber.StatusInternalServerError, "internal error"
	if known, ok := errors.AsType[*core.Error](err); ok && known.Code != core.CodeInternal {
		delivery.Status, delivery.Reason = statuses[known.Code], known.Message
		switch {
		case !target.Trigger.Enabled:
			delivery.Reason = "the trigger is disabled"
		case known.Err != nil:
			delivery.Reason = known.Err.Error()
		}
	}
	a.Deliveries.Deliveries.Add(1, target.Workspace, statusClass(delivery.Status))
	if !target.Notable() {
		a.Deliveries.Unrecorded.Add(1, target.Workspace)
		return
	}
	if err := a.Store.RecordDelivery(requestContext(c), delivery); err != nil {
		a.Deliveries.Unrecorded.Add(1, target.Workspace)
		a.Logger.Warn("a refused request to a webhook is not recorded", "workspace", delivery.Workspace, "trigger", delivery.Trigger, "error", err)
	}
}

// statusClass is how a status is counted: 2xx, 4xx, 5xx.
func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }
