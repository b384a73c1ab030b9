package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// A workspace token lets a step's own container download the files of the step's revision, and do nothing else. It is
// sealed by the server and says itself what it is for, so nothing is stored of it. It ends with the attempt, or after
// [WorkspaceTokenLife].

// WorkspaceTokenPrefix begins the tokens, which so are told from those of workers.
const WorkspaceTokenPrefix = "stroem_ws_" //nolint:gosec // a prefix, no token

// WorkspaceTokenLife is how long a token is good for, unless its attempt ends before.
const WorkspaceTokenLife = time.Hour

const placeWorkspaceToken = "workspace token"

// ErrWorkspaceToken refuses a token that was changed, has run out, or whose attempt has ended.
var ErrWorkspaceToken = core.Errorf(core.CodeUnauthenticated, "workspace_token_invalid", "The workspace token is wrong, has expired, or its step has ended")

type workspaceGrant struct {
	StepID  core.StepID `json:"s"`
	Attempt int         `json:"a"`
	Until   int64       `json:"u"` // seconds since 1970
}

// WorkspaceToken makes a token for the attempt that the lease stands for; its errors are those of CheckLease.
func (e *Engine) WorkspaceToken(ctx context.Context, worker uuid.UUID, step core.StepID, lease string) (token string, until time.Time, err error) {
	held, err := e.CheckLease(ctx, worker, StepRef{StepID: step}, lease)
	if err != nil {
		return "", time.Time{}, err
	}
	until = time.Now().Add(WorkspaceTokenLife).Truncate(time.Second)
	grant, err := json.Marshal(workspaceGrant{StepID: held.StepID, Attempt: held.Attempt, Until: until.Unix()})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("encode a workspace token: %w", err)
	}
	sealed, err := e.config.Seal.Seal(grant, placeWorkspaceToken)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("seal a workspace token: %w", err)
	}
	return WorkspaceTokenPrefix + base64.RawURLEncoding.EncodeToString(sealed), until, nil
}

// OpenWorkspaceToken returns the attempt that a token is for, which still runs. Otherwise it fails with
// [ErrWorkspaceToken].
func (e *Engine) OpenWorkspaceToken(ctx context.Context, token string) (Lease, error) {
	text, ok := strings.CutPrefix(token, WorkspaceTokenPrefix)
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil {
		return Lease{}, ErrWorkspaceToken
	}
	var grant workspaceGrant
	document, err := e.config.Seal.Open(sealed, placeWorkspaceToken)
	if err != nil || json.Unmarshal(document, &grant) != nil || !time.Now().Before(time.Unix(grant.Until, 0)) {
		return Lease{}, ErrWorkspaceToken
	}
	step, err := e.store.StepLease(ctx, grant.StepID, uuid.Nil, "")
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return Lease{}, ErrWorkspaceToken
	case err != nil:
		return Lease{}, err
	case step.Status != core.StepRunning || step.Attempt != grant.Attempt:
		return Lease{}, ErrWorkspaceToken
	}
	return Lease{
		StepID: step.ID, JobID: step.JobID, StepName: step.Name, Attempt: step.Attempt,
		Workspace: step.Workspace, Revision: step.Revision, Digest: step.RevisionDigest,
	}, nil
}
