package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
)

// searches bounds how many searches in logs run at once: each keeps a core busy.
type searches chan struct{}

// enter waits for a place for a while, and returns what gives it back.
func (s searches) enter(c *fiber.Ctx, wait time.Duration) (leave func(), err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-timer.C:
		c.Set(fiber.HeaderRetryAfter, "5")
		return nil, core.Errorf(core.CodeUnavailable, "too_many_searches", "%d searches in logs run, and more may not: try again later", cap(s))
	}
}
