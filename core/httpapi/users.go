package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
)

func (a *API) me(c *fiber.Ctx) error {
	u := user(c).User
	return c.JSON(api.Me{UserID: u.ID.String(), Name: optional(u.Name), Email: u.Email, Role: string(u.Role), CreatedAt: u.CreatedAt.UTC()})
}

// changePassword changes one's own password and answers with the tokens of a new session: all others have ended.
func (a *API) changePassword(c *fiber.Ctx) error {
	var request api.PasswordChange
	if err := decode(c, &request, true); err != nil {
		return err
	}
	u := user(c).User
	ctx := requestContext(c)
	client := a.client(c)
	if retryAfter, ok := a.Logins.Allow(u.Email, client); !ok { // or whoever has a token could try them all
		return tooManyRequests(c, retryAfter)
	}
	right, err := a.Auth.VerifyPassword(ctx, u.ID, request.CurrentPassword)
	if err != nil {
		return err
	}
	if !right {
		a.audit(c, "user.password", u.Email, core.AuditDenied, nil)
		return core.Errorf(core.CodeForbidden, "password_wrong", "The current password is another one")
	}
	a.Logins.Succeeded(u.Email, client)
	if u, err = a.Auth.SetPassword(ctx, u.ID, request.NewPassword); err != nil {
		return err
	}
	a.audit(c, "user.password", u.Email, core.AuditOK, nil)
	pair, err := a.Auth.Start(ctx, u)
	if err != nil {
		return err
	}
	return a.answerTokens(c, pair, c.Cookies(refreshCookie) != "")
}

func (a *API) listUsers(c *fiber.Ctx) error {
	q := &query{c: c}
	limit, offset := q.number("limit", defaultLimit, 1, maxLimit), q.number("offset", 0, 0, maxOffset)
	if q.err != nil {
		return q.err
	}
	users, total, err := a.Store.Users(requestContext(c), int(limit), int(offset))
	if err != nil {
		return err
	}
	list := make([]api.User, len(users))
	for i := range users {
		list[i] = presentUser(&users[i])
	}
	setTotal(c, total)
	return c.JSON(list)
}

func (a *API) getUser(c *fiber.Ctx) error {
	id, err := uuidParam(c, "user")
	if err != nil {
		return err
	}
	u, err := a.Store.User(requestContext(c), id)
	if err != nil {
		return err
	}
	return c.JSON(presentUser(&u))
}

// PresentUser is a user as the API tells of them.
func PresentUser(u core.User) api.User { return presentUser(&u) }

func presentUser(u *core.User) api.User {
	methods := []string{}
	if u.PasswordHash != "" {
		methods = append(methods, "password")
	}
	return api.User{
		UserID: u.ID.String(), Name: optional(u.Name), Email: u.Email, Role: string(u.Role), Groups: append([]string{}, u.Groups...),
		AuthMethods: append(methods, u.Providers...), Disabled: u.Disabled, CreatedAt: u.CreatedAt.UTC(), LastLoginAt: optionalTime(u.LastLoginAt),
	}
}

func parseRole(text string) (core.Role, error) {
	role := core.Role(text)
	if !role.Covers(core.RoleViewer) {
		return "", invalid("role has to be viewer, operator or admin, and is %.100q", text)
	}
	return role, nil
}

func (a *API) createUser(c *fiber.Ctx) error {
	if a.Auth == nil {
		return errNoAuth
	}
	request := api.NewUser{Role: string(core.RoleOperator)}
	if err := decode(c, &request, true); err != nil {
		return err
	}
	role, err := parseRole(request.Role)
	if err != nil {
		return err
	}
	u, err := a.Auth.Create(requestContext(c), auth.NewUser{Email: request.Email, Name: request.Name, Password: request.Password, Role: role})
	if err != nil {
		return err
	}
	a.audit(c, "user.create", u.Email, core.AuditOK, map[string]any{"role": string(role)})
	return c.JSON(presentUser(&u))
}

func (a *API) changeUser(c *fiber.Ctx) error {
	id, err := uuidParam(c, "user")
	if err != nil {
		return err
	}
	if a.Auth == nil {
		return errNoAuth
	}
	var request api.UserChange
	if err := decode(c, &request, true); err != nil {
		return err
	}
	change := core.UserChange{Name: request.Name, Disabled: request.Disabled}
	details := map[string]any{}
	if request.Name != nil {
		if err := auth.CheckName(*request.Name); err != nil {
			return err
		}
		details["name"] = *request.Name
	}
	if request.Role != nil {
		role, err := parseRole(*request.Role)
		if err != nil {
			return err
		}
		change.Role, details["role"] = &role, string(role)
	}
	if request.Disabled != nil {
		details["disabled"] = *request.Disabled
	}
	ctx := requestContext(c)
	if request.Password != nil {
		if change.PasswordHash, err = auth.NewPassword(ctx, *request.Password); err != nil {
			return err
		}
		details["password"] = "changed"
	}
	u, err := a.Auth.Change(ctx, id, change)
	if err != nil {
		return err
	}
	a.audit(c, "user.change", u.Email, core.AuditOK, details)
	return c.JSON(presentUser(&u))
}
