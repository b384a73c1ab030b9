package httpapi

import (
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

// getWorkspace streams the tarball of a revision. A revision never changes, so its name is its entity tag.
func (a *API) getWorkspace(c *fiber.Ctx) error {
	name, err := param(c, "ws")
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, ".tar.gz")
	q := &query{c: c}
	revision, step := q.text("revision"), q.number("step_id", 0, 1, math.MaxInt64)
	if q.err != nil {
		return q.err
	}
	revision, digest, err := a.readable(c, name, revision, core.StepID(step))
	if err != nil {
		return err
	}
	etag := `"` + revision + `"`
	for candidate := range strings.SplitSeq(c.Get(fiber.HeaderIfNoneMatch), ",") {
		if candidate = strings.TrimSpace(candidate); candidate == etag || candidate == revision {
			nameRevision(c, revision)
			return c.SendStatus(fiber.StatusNotModified)
		}
	}
	file, err := a.Workspaces.Tarball(requestContext(c), name, revision, digest)
	if err != nil {
		return err
	}
	nameRevision(c, revision)
	return sendFile(c, file)
}

// makeWorkspaceToken makes the token that a step's container gets in place of a worker's.
func (a *API) makeWorkspaceToken(c *fiber.Ctx) error {
	var request api.WorkspaceTokenRequest
	if err := decode(c, &request, false); err != nil {
		return err
	}
	token, until, err := a.Engine.WorkspaceToken(requestContext(c), caller(c), core.StepID(request.StepID), c.Get(leaseHeader))
	if err != nil {
		return err
	}
	return c.JSON(api.WorkspaceToken{Token: token, ExpiresAt: until.UTC()})
}

func nameRevision(c *fiber.Ctx, revision string) {
	c.Set(fiber.HeaderETag, `"`+revision+`"`)
	c.Set("X-Revision", revision)
}

// readable tells which revision of a workspace the caller asks for, and may have: that of the job whose step it holds a
// lease for, or the current one of that job's workspace. A workspace token opens the job's own alone.
func (a *API) readable(c *fiber.Ctx, name, asked string, step core.StepID) (revision, digest string, err error) {
	if grant, ok := c.Locals(grantKey{}).(engine.Lease); ok {
		if name != grant.Workspace || asked != grant.Revision || step != grant.StepID {
			return "", "", engine.ErrWorkspaceToken
		}
		return grant.Revision, grant.Digest, nil
	}
	if _, err := a.Workspaces.Status(name); err != nil {
		return "", "", err
	}
	lease, err := a.Engine.CheckLease(requestContext(c), caller(c), engine.StepRef{StepID: step}, c.Get(leaseHeader))
	if err != nil {
		return "", "", err
	}
	switch {
	case lease.Workspace != name:
		return "", "", engine.ErrLeaseInvalid
	case asked != "" && asked == lease.Revision:
		return lease.Revision, lease.Digest, nil
	}
	ws, current, err := a.Workspaces.Workspace(name)
	if err != nil {
		return "", "", err
	}
	if asked != "" && asked != current {
		return "", "", engine.ErrLeaseInvalid
	}
	return current, ws.Digest, nil
}

// sendFile streams a file and closes it.
func sendFile(c *fiber.Ctx, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		_ = file.Close() // only read from
		return fmt.Errorf("look at tarball: %w", err)
	}
	c.Set(fiber.HeaderContentType, "application/gzip")
	return c.SendStream(file, int(info.Size())) // closes the file
}
