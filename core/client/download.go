package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stallLimit is how long a download may bring nothing.
const stallLimit = time.Minute

// stream makes a call whose answer may be long: its body is read as it comes, and given up when it stalls. The caller closes it.
func (c *Client) stream(ctx context.Context, r request, token string) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	response, err := c.send(ctx, r, token)
	if err != nil {
		cancel()
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		response.Body = &download{body: response.Body, limit: c.stall, stall: time.AfterFunc(c.stall, cancel), cancel: cancel}
		return response, nil
	}
	defer cancel()
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	return nil, readError(response, data)
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
