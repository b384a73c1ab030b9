package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/stroem/stroem/pluginapi"
)

// webs are the connections to https servers, shared by workspaces that trust the same certificates. Credentials are not
// part of a connection.
type webs struct {
	proxy func(*url.URL) (*url.URL, error)

	mu  sync.Mutex
	all map[[sha256.Size]byte]*http.Transport
}

// transport returns the connections for a workspace.
func (s *webs) transport(w *workspace) (*http.Transport, error) {
	ca := w.CA
	if w.CAPath != "" {
		text, err := os.ReadFile(w.CAPath)
		if err != nil {
			return nil, invalid("ca_path: %w", err)
		}
		ca += "\n" + string(text)
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: w.InsecureSkipTLSVerify} //nolint:gosec // the operator said so
	mark := "verify "
	if w.InsecureSkipTLSVerify {
		mark = "skip "
	}
	key := sha256.Sum256([]byte(mark + ca))
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.all[key]; ok {
		return t, nil
	}
	if ca != "" {
		var err error
		if trust.RootCAs, err = x509.SystemCertPool(); err != nil {
			trust.RootCAs = x509.NewCertPool()
		}
		if !trust.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, invalid("ca: holds no certificate in PEM")
		}
	}
	t := &http.Transport{
		Proxy:                 s.proxyFor,
		DialContext:           newDialer().DialContext,
		TLSClientConfig:       trust,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	s.all[key] = t
	return t, nil
}

func (s *webs) proxyFor(req *http.Request) (*url.URL, error) {
	proxy, err := s.proxy(req.URL)
	if err != nil { // it shows the variable, which may hold a password
		return nil, pluginapi.Errorf(pluginapi.CodePrecondition, "the proxy that the environment names is no URL")
	}
	return proxy, nil
}

// close ends the connections that nobody uses.
func (s *webs) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		t.CloseIdleConnections()
	}
}

// webSession talks to git-upload-pack by way of a web server.
type webSession struct {
	client             *http.Client
	base               string // without a slash at the end; where a redirect led, if there was one
	username, password string
}

const (
	uploadPack   = "git-upload-pack"
	maxRedirects = 5
)

func (s *webs) open(w *workspace) (session, error) {
	transport, err := s.transport(w)
	if err != nil {
		return nil, err
	}
	session := &webSession{base: strings.TrimSuffix(w.remote.String(), "/")}
	session.username, session.password = w.Auth.basic()
	session.client = &http.Client{Transport: transport, CheckRedirect: session.redirected}
	return session, nil
}

func (s *webSession) close() {}

// redirected decides whether to follow. Credentials are for the host that the settings name, and for no other.
func (s *webSession) redirected(req *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, req.URL
	shown := to.Scheme + "://" + to.Host
	switch {
	case via[0].Method != http.MethodGet:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote redirects in the middle of a conversation, to %s", shown)
	case len(via) > maxRedirects:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote redirects more than %d times", maxRedirects)
	case to.Scheme != schemeHTTPS && to.Scheme != schemeHTTP:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote redirects to %s, which is neither https nor http", shown)
	case from.Scheme == schemeHTTPS && to.Scheme == schemeHTTP:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote redirects to %s, which is not encrypted", shown)
	case to.User != nil:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote redirects to a URL with credentials")
	case s.password != "" && !sameHost(from, to):
		return pluginapi.Errorf(pluginapi.CodeDenied,
			"the remote redirects to %s; credentials are not sent to another host: if that is right, set url to where it leads", shown)
	}
	return checkHost(to.Hostname())
}

// sameHost tells whether both are the same server; it may have moved from http to https.
func sameHost(from, to *url.URL) bool {
	upgraded := from.Scheme == schemeHTTP && to.Scheme == schemeHTTPS && from.Port() == "" && to.Port() == ""
	return strings.EqualFold(from.Hostname(), to.Hostname()) && (from.Port() == to.Port() && from.Scheme == to.Scheme || upgraded)
}

func (s *webSession) refs(ctx context.Context) (*packp.AdvRefs, error) {
	const query = "/info/refs?service=" + uploadPack
	resp, err := s.do(ctx, http.MethodGet, s.base+query, nil, "application/x-"+uploadPack+"-advertisement")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	at := *resp.Request.URL
	path, ok := strings.CutSuffix(at.Path, "/info/refs")
	if !ok {
		return nil, pluginapi.Errorf(pluginapi.CodeDenied, "the remote redirects to %s://%s, to no repository", at.Scheme, at.Host)
	}
	s.base = (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: path}).String()
	refs, err := readRefs(resp.Body)
	if errors.Is(err, packp.ErrEmptyAdvRefs) {
		return nil, nil
	}
	return refs, err
}

func (s *webSession) pack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	var body bytes.Buffer
	if err := writeRequest(&body, req); err != nil {
		return nil, err
	}
	resp, err := s.do(ctx, http.MethodPost, s.base+"/"+uploadPack, &body, "application/x-"+uploadPack+"-result")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// do sends a request and returns the answer if it is of the wanted type.
func (s *webSession) do(ctx context.Context, method, at string, body io.Reader, kind string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, invalid("url: is not a URL")
	}
	req.Header.Set("Accept", kind)
	req.Header.Set("User-Agent", "git/stroem") // some servers answer differently to what is not git
	if body != nil {
		req.Header.Set("Content-Type", "application/x-"+uploadPack+"-request")
	}
	if s.password != "" {
		req.SetBasicAuth(s.username, s.password)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := s.judge(resp, kind); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// judge says what is wrong with an answer. Its text is not shown: a server may put anything there.
func (s *webSession) judge(resp *http.Response, kind string) error {
	code := resp.StatusCode
	status := strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
	switch {
	case code == http.StatusUnauthorized && s.password == "":
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote wants credentials, or the repository does not exist; set auth")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote refuses the credentials (%s)", status)
	case code == http.StatusNotFound || code == http.StatusGone:
		return pluginapi.Errorf(pluginapi.CodeNotFound, "the repository does not exist, or the credentials do not reach it (%s)", status)
	case code == http.StatusTooManyRequests || code >= http.StatusInternalServerError:
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "the remote answers %s", status)
	case code != http.StatusOK:
		return pluginapi.Errorf(pluginapi.CodeInvalid, "the remote answers %s", status)
	case resp.Header.Get("Content-Type") != kind:
		return pluginapi.Errorf(pluginapi.CodeInvalid, "there is a web server, but no git repository at this URL")
	default:
		return nil
	}
}
