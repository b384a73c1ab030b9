// Package client speaks the HTTP API: for the command line and for workers.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/stroem/stroem/core/api"
)

// Options say how to reach a server.
type Options struct {
	Server string      // http://host:port, or unix:/path for a server that listens on a socket
	Token  string      // bearer token; "" for none
	Source TokenSource // in place of Token, of one that changes
	CAFile string      // PEM file with certificates to trust besides the system's; "" for none
}

// Client is safe for concurrent use.
type Client struct {
	base   *url.URL
	tokens TokenSource
	limit  int64         // answerLimit; smaller in tests
	stall  time.Duration // stallLimit; shorter in tests
	http   *http.Client
}

const (
	// callTimeout bounds a call that the server answers at once.
	callTimeout = 30 * time.Second
	// unixScheme begins the path of a socket, socketHost is what is told of it in a request.
	unixScheme = "unix:"
	socketHost = "localhost"
	// answerLimit bounds how many bytes are read of an answer.
	answerLimit = 64 << 20
)

// New makes a client; it connects with the first call.
func New(o Options) (*Client, error) {
	base, socket, err := parseAddress(o.Server)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	dial := dialer.DialContext
	if socket != "" {
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute, // shorter than the server's, so that it does not close what is about to be used
		ResponseHeaderTimeout: 2 * time.Minute,
		DisableCompression:    true,
	}
	if socket != "" {
		transport.Proxy = nil
	}
	if o.CAFile != "" {
		if transport.TLSClientConfig, err = trust(o.CAFile); err != nil {
			return nil, err
		}
	}
	if o.Source == nil {
		o.Source = fixed(o.Token)
	}
	return &Client{base: base, tokens: o.Source, limit: answerLimit, stall: stallLimit, http: &http.Client{Transport: transport, CheckRedirect: noRedirect}}, nil
}

// noRedirect keeps the token from being sent to where a redirect points.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // named by the user
	if err != nil {
		return nil, fmt.Errorf("read the certificates to trust: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM format", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// WithToken returns a client that shares the connections and sends another token.
func (c *Client) WithToken(token string) *Client { return c.WithSource(fixed(token)) }

// WithSource is [Client.WithToken] for a token that changes.
func (c *Client) WithSource(source TokenSource) *Client {
	other := *c
	other.tokens = source
	return &other
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer with a status of 400 or more.
type Error struct {
	Status  int
	Code    string // machine-readable: not_found, lease_stale, …
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("Server returned %d: %s", e.Status, e.Message) }

// IsCode tells whether err is an answer with this code.
func IsCode(err error, code string) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Code == code
}

// request is one call.
type request struct {
	method  string
	path    string // escaped
	query   url.Values
	body    any // sent as JSON; []byte as it is, with contentType
	timeout time.Duration
	header  http.Header
}

// do sends a request and decodes the JSON of its answer into out.
func (c *Client) do(ctx context.Context, r request, out any) (header http.Header, err error) {
	err = c.withToken(ctx, func(token string) (err error) {
		header, err = c.call(ctx, r, token, out)
		return err
	})
	return header, err
}

// withToken makes a call with the token, and once more with another one if the server does not take it any more.
func (c *Client) withToken(ctx context.Context, call func(token string) error) error {
	token, err := c.tokens.Token(ctx)
	if err != nil {
		return err
	}
	err = call(token)
	if !IsCode(err, codeTokenInvalid) && !IsCode(err, codeTokenChanged) {
		return err
	}
	next, failed := c.tokens.Renew(ctx, token)
	if failed != nil {
		return failed
	}
	if next == "" {
		return err
	}
	return call(next)
}

func (c *Client) call(ctx context.Context, r request, token string, out any) (http.Header, error) {
	if r.timeout == 0 {
		r.timeout = callTimeout
	}
	response, data, err := c.exchange(ctx, r, token) //nolint:bodyclose // exchange closes it
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, readError(response, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("Failed to parse response: %s answered something else than Strøm's JSON: is the address right?", c.base.Host) //nolint:staticcheck // told to people
	}
	return response.Header, nil
}

// exchange sends a request and reads all of its answer.
func (c *Client) exchange(caller context.Context, r request, token string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(caller, r.timeout)
	defer cancel()
	late := func(err error) error {
		if ctx.Err() != nil && caller.Err() == nil {
			return fmt.Errorf("the server at %s did not answer within %s: %w", c.base.Host, r.timeout, ctx.Err())
		}
		return err
	}
	response, err := c.send(ctx, r, token)
	if err != nil {
		return nil, nil, late(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, c.limit+1))
	if err != nil {
		return nil, nil, late(fmt.Errorf("read the answer of %s: %w", c.base.Host, err))
	}
	if int64(len(data)) > c.limit {
		return nil, nil, fmt.Errorf("the answer of %s is larger than %d bytes", c.base.Host, c.limit)
	}
	return response, data, nil
}

func (c *Client) send(ctx context.Context, r request, token string) (*http.Response, error) {
	var body io.Reader
	contentType := "application/json"
	switch b := r.body.(type) {
	case nil:
	case []byte:
		body, contentType = bytes.NewReader(b), "application/x-ndjson"
	default:
		var data bytes.Buffer
		encoder := json.NewEncoder(&data)
		encoder.SetEscapeHTML(false) // log lines full of < must not grow sixfold
		if err := encoder.Encode(b); err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(bytes.TrimSuffix(data.Bytes(), []byte("\n")))
	}
	target := strings.TrimSuffix(c.base.String(), "/") + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(req.Header, r.header)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(req)
	if err != nil {
		return nil, describe(c.base.Host, err)
	}
	return response, nil
}

// describe says which server could not be reached; the address may hold names that must not be shown.
func describe(host string, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("cannot reach the server at %s: %w", host, err)
}

func readError(response *http.Response, data []byte) error {
	var body api.Error
	if json.Unmarshal(data, &body) != nil || body.Error == "" {
		body = api.Error{Error: http.StatusText(response.StatusCode) + " (the answer is not Strøm's: is the address right?)"}
	}
	return &Error{Status: response.StatusCode, Code: body.Code, Message: body.Error}
}
