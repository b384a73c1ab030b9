package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/stroem/stroem/core/api"
)

// Register introduces a worker, with the shared worker token. Use WithToken(answer.Token) for what follows.
func (c *Client) Register(ctx context.Context, r api.Register) (registered api.Registered, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/worker/register", body: r}, &registered)
	return registered, err
}

// Heartbeat tells that the worker lives, which every other call does, too, and what its plugins have become.
func (c *Client) Heartbeat(ctx context.Context, r api.Heartbeat) error {
	_, err := c.do(ctx, request{method: http.MethodPost, path: "/worker/heartbeat", body: r}, &api.Status{})
	return err
}

// Claim asks for steps and stops, and waits for them as long as the request says.
func (c *Client) Claim(ctx context.Context, r api.ClaimRequest) (claimed api.ClaimResponse, err error) {
	wait := time.Minute
	if r.WaitSecs != nil {
		wait = time.Duration(*r.WaitSecs) * time.Second
	}
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/worker/jobs/claim", body: r, timeout: callTimeout + wait}, &claimed)
	return claimed, err
}

// Start reports that steps are about to be spawned; only accepted ones may be.
func (c *Client) Start(ctx context.Context, r api.StartRequest) (results api.StepResults, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/worker/steps/start", body: r}, &results)
	return results, err
}

// SaveState keeps what runners said of started steps.
func (c *Client) SaveState(ctx context.Context, r api.StartRequest) (results api.StepResults, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/worker/steps/state", body: r}, &results)
	return results, err
}

// Removed reports lost runs of which nothing is left.
func (c *Client) Removed(ctx context.Context, r api.RemovedRequest) error {
	_, err := c.do(ctx, request{method: http.MethodPost, path: "/worker/steps/removed", body: r}, &api.Status{})
	return err
}

// Complete reports ended steps.
func (c *Client) Complete(ctx context.Context, r api.CompleteRequest) (response api.CompleteResponse, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/worker/steps/complete", body: r}, &response)
	return response, err
}

// AppendLogs adds lines in storage format to the log of a step; first is the number of the first one within the attempt.
func (c *Client) AppendLogs(ctx context.Context, job, step, lease string, first int64, ndjson []byte) error {
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: path("worker", "jobs", job, "logs"), body: ndjson,
		query:  url.Values{"step": {step}, "first": {strconv.FormatInt(first, 10)}},
		header: http.Header{leaseHeader: {lease}},
	}, &api.Status{})
	return err
}
