package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

const (
	maxRedirects = 5
	// exitNoResponse is the exit code of a step that got no response, or only a part of one. With a response that was not
	// expected it is the hundred of the status: 4 for 404.
	exitNoResponse = 6
)

// spec is what the action says; schema/spec.json describes it.
type spec struct {
	URL          string            `json:"url"`
	Method       string            `json:"method"`
	Headers      map[string]string `json:"headers"`
	Body         string            `json:"body"`
	ExpectStatus []int             `json:"expect_status"`
	Timeout      string            `json:"timeout"`
	OutputStatus bool              `json:"output_status"`

	timeout time.Duration
}

// parseSpec reads a spec. It checks again what it relies on: only now are templates rendered.
func parseSpec(text json.RawMessage) (*spec, error) {
	s := &spec{Method: http.MethodGet, Timeout: "30s", OutputStatus: true}
	if err := decode(text, s); err != nil {
		return nil, err
	}
	target, err := url.Parse(s.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "'url' has to be an http or https URL")
	}
	if s.timeout, err = time.ParseDuration(s.Timeout); err != nil || s.timeout <= 0 {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "'timeout' has to be a duration such as 30s")
	}
	return s, nil
}

// expects tells whether the step succeeds with a status.
func (s *spec) expects(status int) bool {
	if len(s.ExpectStatus) > 0 {
		return slices.Contains(s.ExpectStatus, status)
	}
	return status >= 200 && status <= 299
}

// request makes the HTTP request of the spec.
func (s *spec) request(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, s.Method, s.URL, strings.NewReader(s.Body))
	if err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "'method' or 'url' cannot be used")
	}
	request.Header.Set("User-Agent", "runner-example.http/1.0")
	for name, value := range s.Headers {
		request.Header.Set(name, value)
	}
	if host := request.Header.Get("Host"); host != "" { // Go wants it elsewhere
		request.Host = host
	}
	return request, nil
}

// follow decides about redirects. The last response counts where it returns ErrUseLastResponse: for too many redirects, and
// for one to another origin, which must not see the headers.
func (s *spec) follow(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects,
		s.expects(next.Response.StatusCode),
		s.Method != http.MethodGet && s.Method != http.MethodHead,
		next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host:
		return http.ErrUseLastResponse
	}
	return nil
}

// send sends the request and puts out the response: the body on stdout, the rest on stderr. A step that fails is a result;
// an error means that the step could not be run.
func (r *runner) send(ctx context.Context, s *spec, out pluginapi.Output) (*pluginapi.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := s.request(ctx)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: r.transport, CheckRedirect: s.follow}
	response, err := client.Do(request)
	if err != nil {
		return s.noResponse("no response", err), nil
	}
	defer func() { _ = response.Body.Close() }() // read to its end, or not wanted any more
	if err := summarize(out.Stderr(), response); err != nil {
		return nil, err
	}
	stdout := &lineEnd{Writer: out.Stdout()}
	n, err := io.Copy(stdout, io.LimitReader(response.Body, r.config.MaxResponseBytes+1))
	switch {
	case err != nil:
		return s.noResponse("the response broke off", err), nil
	case n > r.config.MaxResponseBytes:
		return &pluginapi.Result{
			ExitCode: exitNoResponse, Message: fmt.Sprintf("the response has more than %d bytes", r.config.MaxResponseBytes),
		}, nil
	}
	if s.OutputStatus {
		if err := stdout.output(response.StatusCode); err != nil {
			return nil, err
		}
	}
	if s.expects(response.StatusCode) {
		return &pluginapi.Result{}, nil
	}
	return &pluginapi.Result{
		ExitCode: response.StatusCode / 100, Message: "the response is " + response.Status + ", which was not expected",
	}, nil
}

// noResponse is the result without a complete response.
func (s *spec) noResponse(what string, err error) *pluginapi.Result {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, whose query may hold secrets
	}
	message := what + ": " + err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		message = "no complete response within " + s.Timeout
	}
	return &pluginapi.Result{ExitCode: exitNoResponse, Message: message}
}

// shown are the headers of a response that are worth a line. Others, such as Set-Cookie, may hold secrets.
var shown = []string{"Content-Type", "Content-Length", "Retry-After"}

// summarize writes what was asked last, after redirects, and what came back.
func summarize(w io.Writer, response *http.Response) error {
	var text strings.Builder
	fmt.Fprintf(&text, "> %s %s\n< %s\n", response.Request.Method, plain(response.Request.URL), response.Status)
	if next, err := response.Location(); err == nil {
		fmt.Fprintf(&text, "< Location: %s\n", plain(next))
	}
	for _, name := range shown {
		if value := response.Header.Get(name); value != "" {
			fmt.Fprintf(&text, "< %s: %s\n", name, value)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// plain is a URL without user and query, which may hold secrets.
func plain(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// lineEnd remembers whether what it wrote ends with a line.
type lineEnd struct {
	io.Writer
	open bool
}

func (w *lineEnd) Write(p []byte) (int, error) {
	if len(p) > 0 {
		w.open = p[len(p)-1] != '\n'
	}
	return w.Writer.Write(p)
}

// output writes the line that the host takes for the output of the step, as JSON behind OUTPUT:. The last such line counts,
// so the body of a response cannot forge it.
func (w *lineEnd) output(status int) error {
	text := fmt.Sprintf("OUTPUT: {\"status\": %d}\n", status)
	if w.open {
		text = "\n" + text
	}
	_, err := io.WriteString(w.Writer, text)
	return err
}
