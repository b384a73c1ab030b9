package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/stroem/stroem/pluginapi"
)

// explain puts an error into words for people, with the workspace's URL and without its secrets.
func (w *workspace) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	code, message := classify(err)
	return pluginapi.Errorf(code, "%s: %s", w.remote, w.hide(printable(message)))
}

// classify finds out what kind of failure an error is.
func classify(err error) (pluginapi.Code, string) {
	known, isKnown := errors.AsType[*pluginapi.Error](err)
	complaint, isComplaint := errors.AsType[*pktline.ErrorLine](err)
	request, isRequest := errors.AsType[*url.Error](err)
	_, isFile := errors.AsType[*fs.PathError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isNet := errors.AsType[net.Error](err)
	_, isText := errors.AsType[*packp.ErrUnexpectedData](err)
	cause := err
	if isRequest {
		cause = request.Err // without the URL, which may be one that a redirect led to
	}
	switch {
	case isKnown:
		return known.Code, known.Message
	case errors.Is(err, context.DeadlineExceeded):
		return pluginapi.CodeTimeout, "it took too long"
	case isComplaint && strings.Contains(complaint.Text, "not our ref"):
		return pluginapi.CodeNotFound, "the remote does not have that commit any more"
	case isComplaint:
		return pluginapi.CodeUnavailable, "the remote says: " + complaint.Text
	case isCertificate:
		return pluginapi.CodeDenied, fmt.Sprintf("the certificate is not trusted: %s; if it is right, set ca or ca_path to what vouches for it", cause)
	case errors.Is(err, syscall.ENOSPC):
		return pluginapi.CodeExhausted, "the disk is full"
	case isFile:
		return pluginapi.CodeInternal, err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return pluginapi.CodeUnavailable, "the remote ended the conversation"
	case isText:
		return pluginapi.CodeUnavailable, "the remote does not speak as git does"
	case isRequest, isNet:
		return pluginapi.CodeUnavailable, cause.Error()
	case errors.Is(err, packfile.ErrMalformedPackFile), errors.Is(err, packfile.ErrReferenceDeltaNotFound),
		errors.Is(err, plumbing.ErrObjectNotFound):
		return pluginapi.CodeUnavailable, "what the remote sent is damaged: " + err.Error()
	default:
		return pluginapi.CodeInternal, err.Error()
	}
}

// hide replaces secrets. No error is known to hold one; this is a net.
func (w *workspace) hide(text string) string {
	for _, secret := range w.Auth.secrets() {
		if secret = strings.TrimSpace(secret); len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "••••••")
		}
	}
	return text
}

// printable leaves out what a terminal would obey, and is valid UTF-8 of bounded length.
func printable(text string) string {
	const longest = 1000
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
