package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

var statuses = map[core.Code]int{
	core.CodeInvalid:         fiber.StatusBadRequest,
	core.CodeNotFound:        fiber.StatusNotFound,
	core.CodeConflict:        fiber.StatusConflict,
	core.CodeUnauthenticated: fiber.StatusUnauthorized,
	core.CodeForbidden:       fiber.StatusForbidden,
	core.CodeTooLarge:        fiber.StatusRequestEntityTooLarge,
	core.CodeTooManyRequests: fiber.StatusTooManyRequests,
	core.CodeUnavailable:     fiber.StatusServiceUnavailable,
	core.CodeInternal:        fiber.StatusInternalServerError,
}

// fail writes an error as JSON. What is ours to mend is logged here, once, and told by its request id alone.
func (a *API) fail(c *fiber.Ctx, err error) error {
	status, body := a.describe(c, err)
	if status == fiber.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	return c.Status(status).JSON(body)
}

func (a *API) describe(c *fiber.Ctx, err error) (int, api.Error) {
	if known, ok := errors.AsType[*core.Error](err); ok && known.Code != core.CodeInternal {
		code := known.Reason
		if code == "" {
			code = string(known.Code)
		}
		return statuses[known.Code], api.Error{Error: known.Message, Code: code}
	}
	if framework, ok := errors.AsType[*fiber.Error](err); ok && framework.Code < fiber.StatusInternalServerError {
		return framework.Code, describeFramework(c, framework)
	}
	if a.polls.Err() != nil && errors.Is(err, context.Canceled) {
		return fiber.StatusServiceUnavailable, api.Error{Error: "The server is stopping: try again in a moment", Code: "unavailable"}
	}
	id := requestID(c)
	if !errors.Is(err, context.Canceled) {
		a.Logger.Error("request failed", slog.String("request_id", id), slog.String("method", c.Method()),
			slog.String("route", c.Route().Path), slog.Any("error", err))
	}
	return fiber.StatusInternalServerError, api.Error{Error: fmt.Sprintf("Internal error (request %s)", id), Code: "internal"}
}

// tooManyRequests refuses a request that may be made again after a time.
func tooManyRequests(c *fiber.Ctx, retryAfter time.Duration) error {
	seconds := max(1, int(math.Ceil(retryAfter.Seconds())))
	c.Set(fiber.HeaderRetryAfter, strconv.Itoa(seconds))
	return core.Errorf(core.CodeTooManyRequests, "", "Too many requests: try again in %d s", seconds)
}

func describeFramework(c *fiber.Ctx, err *fiber.Error) api.Error {
	switch err.Code {
	case fiber.StatusNotFound:
		return api.Error{Error: fmt.Sprintf("There is nothing at %s %s", c.Method(), printablePath(c)), Code: "not_found"}
	case fiber.StatusMethodNotAllowed:
		return api.Error{
			Error: fmt.Sprintf("%s is not possible here, only %s", c.Method(), c.GetRespHeader(fiber.HeaderAllow)), Code: "method_not_allowed",
		}
	case fiber.StatusRequestEntityTooLarge:
		return api.Error{Error: fmt.Sprintf("The request's body is larger than %d MiB", bodyLimit/mib), Code: "too_large"}
	case fiber.StatusUpgradeRequired:
		return api.Error{Error: err.Message, Code: "upgrade_required"}
	case fiber.StatusRequestTimeout:
		return api.Error{Error: "The request did not arrive in time", Code: "request_timeout"}
	default:
		return api.Error{Error: strings.TrimSpace("The request cannot be read: " + err.Message), Code: "bad_request"}
	}
}

// printablePath is the path without its query, in which secrets may stand, cut to a length that can be shown.
func printablePath(c *fiber.Ctx) string {
	path := strings.ToValidUTF8(c.Path(), "\uFFFD")
	if len(path) > 200 {
		path = strings.ToValidUTF8(path[:200], "") + "…"
	}
	return path
}

// identify gives every request an id, under which its error is logged.
func (a *API) identify(c *fiber.Ctx) error {
	c.Set(fiber.HeaderXRequestID, uuid.NewString())
	return c.Next()
}

func requestID(c *fiber.Ctx) string { return c.GetRespHeader(fiber.HeaderXRequestID) }

// recoverPanics turns a panic into an error of its request alone.
func recoverPanics(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return c.Next()
}

func (a *API) secureHeaders(c *fiber.Ctx) error {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set(fiber.HeaderCacheControl, "no-store")
	if a.secure(c) {
		c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
	return c.Next()
}
