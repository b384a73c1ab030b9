package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
)

// makeTicket answers with what a browser, which sends no Authorization header then, opens a log stream with.
func (a *API) makeTicket(c *fiber.Ctx) error {
	var request api.TicketRequest
	if err := decode(c, &request, true); err != nil {
		return err
	}
	id, err := parseUUID(request.JobID, "job")
	if err != nil {
		return err
	}
	workspace, task, err := a.Store.JobScope(requestContext(c), id)
	if err != nil {
		return err
	}
	if !user(c).sees(workspace, task) {
		return core.Errorf(core.CodeNotFound, "", "Job not found")
	}
	ticket, err := a.Auth.MakeTicket(requestContext(c), user(c).Principal, id)
	if err != nil {
		return err
	}
	return c.JSON(api.Ticket{Ticket: ticket, ExpiresIn: int(auth.TicketLife.Seconds())})
}

// spendTicket returns whose ticket it is. A request that could not open a stream spends none.
func (a *API) spendTicket(c *fiber.Ctx, ticket string) (auth.Principal, error) {
	id, err := uuidParam(c, "job")
	if err != nil {
		return auth.Principal{}, err
	}
	if err := a.mayUpgrade(c); err != nil {
		return auth.Principal{}, err
	}
	return a.Auth.SpendTicket(requestContext(c), ticket, id)
}
