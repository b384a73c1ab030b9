package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/stroem/stroem/core/api"
)

// leaseHeader carries the lease of the step that a call is about.
const leaseHeader = "X-Stroem-Lease"

// stallLimit is how long a download may bring nothing.
const stallLimit = time.Minute

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
	ctx, cancel := context.WithCancel(ctx)
	response, err := c.send(ctx, request{
		method: http.MethodGet, path: target.EscapedPath(), query: target.Query(), header: http.Header{leaseHeader: {lease}},
	}, token)
	if err != nil {
		cancel()
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return &download{body: response.Body, limit: c.stall, stall: time.AfterFunc(c.stall, cancel), cancel: cancel}, nil
	}
	defer cancel()
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	return nil, readError(response, data)
}

// WorkspaceToken asks for a token that opens a step's workspace_url and nothing else.
func (c *Client) WorkspaceToken(ctx context.Context, step int64, lease string) (token api.WorkspaceToken, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodPost, path: "/worker/steps/workspace_token", body: api.WorkspaceTokenRequest{StepID: step},
		header: http.Header{leaseHeader: {lease}},
	}, &token)
	return token, err
}

// download is the body of an answer that is given up when it stalls.
type download struct {
	body   io.ReadCloser
	limit  time.Duration
	stall  *time.Timer // cancels the request
	cancel context.CancelFunc
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	if !d.stall.Reset(d.limit) && err != nil && err != io.EOF { //nolint:errorlint // bodies return it bare
		err = fmt.Errorf("nothing came for %s: %w", d.limit, err)
	}
	return n, err
}

func (d *download) Close() error {
	d.stall.Stop()
	d.cancel()
	return d.body.Close()
}
