package httpapi

import (
	"fmt"
	"os"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// getWorkspace streams the tarball of a revision. A revision never changes, so its name is its entity tag.
func (a *API) getWorkspace(c *fiber.Ctx) error {
	name, err := param(c, "ws")
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, ".tar.gz")
	q := &query{c: c}
	revision := q.text("revision")
	if q.err != nil {
		return q.err
	}
	if revision == "" {
		if _, revision, err = a.Workspaces.Workspace(name); err != nil {
			return err
		}
	}
	etag := `"` + revision + `"`
	c.Set(fiber.HeaderETag, etag)
	c.Set("X-Revision", revision)
	for candidate := range strings.SplitSeq(c.Get(fiber.HeaderIfNoneMatch), ",") {
		if candidate = strings.TrimSpace(candidate); candidate == etag || candidate == revision {
			return c.SendStatus(fiber.StatusNotModified)
		}
	}
	path, err := a.Workspaces.Tarball(requestContext(c), name, revision)
	if err != nil {
		return err
	}
	file, err := os.Open(path) //nolint:gosec // a path of the workspace manager's making
	if err != nil {
		return fmt.Errorf("open tarball: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("look at tarball: %w", err)
	}
	c.Set(fiber.HeaderContentType, "application/gzip")
	return c.SendStream(file, int(info.Size())) // closes the file
}
