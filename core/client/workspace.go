package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/stroem/stroem/core/api"
)

// leaseHeader carries the lease of the step that a call is about.
const leaseHeader = "X-Stroem-Lease"

// Workspace opens the tarball that a claim's workspace_url names, whose path and query alone are used: it comes from this
// client's server. lease is that of the step. The caller closes it. A download that brings nothing for a minute fails; otherwise ctx bounds it.
func (c *Client) Workspace(ctx context.Context, workspaceURL, lease string) (body io.ReadCloser, err error) {
	err = c.withToken(ctx, func(token string) (err error) {
		body, err = c.download(ctx, workspaceURL, lease, token)
		return err
	})
	return body, err
}

func (c *Client) download(ctx context.Context, workspaceURL, lease, token string) (io.ReadCloser, error) {
	target, err := url.Parse(workspaceURL)
	if err != nil {
		return nil, fmt.Errorf("read the workspace's address: %w", err)
	}
	answer, err := c.stream(ctx, request{
		method: http.MethodGet, path: target.EscapedPath(), query: target.Query(), header: http.Header{leaseHeader: {lease}},
	}, token)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// WorkspaceToken asks for a token that opens a step's workspace_url and nothing else.
func (c *Client) WorkspaceToken(ctx context.Context, step int64, lease string) (token api.WorkspaceToken, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodPost, path: "/worker/steps/workspace_token", body: api.WorkspaceTokenRequest{StepID: step},
		header: http.Header{leaseHeader: {lease}},
	}, &token)
	return token, err
}
