package main

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/stroem/stroem/pluginapi"
)

// pullFailed says why an image could not be pulled, and what to do about it.
func (l *launch) pullFailed(err error, authenticated bool) error {
	text, host, image := said(err), reference.Domain(l.image), familiar(l.image)
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(strings.ToLower(text), part) {
				return true
			}
		}
		return false
	}
	fail := func(code pluginapi.Code, format string, args ...any) error {
		return &pluginapi.Error{Code: code, Message: fmt.Sprintf(format, args...) + ": " + text, Retryable: code == pluginapi.CodeUnavailable, Err: err}
	}
	advice := fmt.Sprintf("set registries.%q in the plugin's config", host)
	if authenticated {
		advice = fmt.Sprintf("check registries.%q in the plugin's config", host)
	}
	switch {
	case isUnreachable(err):
		return l.failed("pull the image", err)
	case has("toomanyrequests", "too many requests"):
		return fail(pluginapi.CodeUnavailable, "the registry %s takes no more pulls for now: %s", host, advice)
	case has("manifest unknown", "not found", "no matching manifest"):
		return fail(pluginapi.CodeNotFound, "the image %q does not exist in the registry %s", image, host)
	case has("pull access denied", "repository does not exist"):
		return fail(pluginapi.CodeNotFound, "the image %q does not exist in the registry %s, or needs credentials (%s)", image, host, advice)
	case has("unauthorized", "authentication required", "no basic auth", "denied", "forbidden"):
		return fail(pluginapi.CodeDenied, "the registry %s does not let the image %q be pulled: %s", host, image, advice)
	case has("dial tcp", "no such host", "connection refused", "timeout", "deadline exceeded", "unreachable", "tls", "x509", "eof"):
		return fail(pluginapi.CodeUnavailable, "the registry %s of the image %q does not answer the engine", host, image)
	}
	return fail(pluginapi.CodeInternal, "pull the image %q", image)
}
