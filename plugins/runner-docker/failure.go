package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/stroem/stroem/pluginapi"
)

// failed makes an error for people of what the engine answered.
func (r *runner) failed(what string, err error) error {
	if e, ok := errors.AsType[*pluginapi.Error](err); ok {
		return e
	}
	text, code := what+": "+said(err), pluginapi.CodeInternal
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, pluginapi.ErrStopped), errors.Is(err, pluginapi.ErrTimedOut), errors.Is(err, pluginapi.ErrHostGone):
		return err
	case isUnreachable(err):
		text, code = what+": "+r.unreachable(err), pluginapi.CodeUnavailable
	case strings.Contains(text, "No command specified"), strings.Contains(text, "no command specified"):
		text, code = "the image has no command of its own: set command, entrypoint or cmd", pluginapi.CodeInvalid
	case cerrdefs.IsInvalidArgument(err):
		code = pluginapi.CodeInvalid
	case cerrdefs.IsNotFound(err):
		code = pluginapi.CodeNotFound
	}
	return &pluginapi.Error{Code: code, Message: text, Retryable: code == pluginapi.CodeUnavailable, Err: err}
}

func isNoImage(err error) bool {
	return cerrdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "no such image")
}

// unreachable says which engine did not answer, and what to do about it.
func (r *runner) unreachable(err error) string {
	reason, advice := err.Error(), "start it, or set host in the plugin's config"
	switch {
	case strings.Contains(reason, "permission denied"):
		reason, advice = "permission denied", "let the worker's user use the socket (group docker)"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "no answer in time"
	case strings.Contains(reason, "x509:"), strings.Contains(reason, "tls:"),
		errors.Is(err, io.EOF) && strings.HasPrefix(r.api.DaemonHost(), "tcp:"), // what hung up may have expected encryption
		strings.Contains(reason, "HTTP request to an HTTPS server"):
		advice = "check tls in the plugin's config"
	case strings.Contains(reason, "Cannot connect"):
		reason = "nobody listens there"
	}
	return fmt.Sprintf("the Docker engine at %s does not answer (%s): %s", r.api.DaemonHost(), reason, advice)
}

// isUnreachable tells whether an error means that there was no answer, or that it broke off, rather than what it was.
func isUnreachable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	_, broken := errors.AsType[net.Error](err)
	return broken || client.IsErrConnectionFailed(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
}

// said returns what the engine answered, without the words that the client puts before it.
func said(err error) string {
	text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	return strings.TrimSuffix(text, ": unknown")
}
