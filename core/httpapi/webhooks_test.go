package httpapi_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/ratelimit"
	"github.com/stroem/stroem/core/tally"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body)) // never fails
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestWebhookCredentials(t *testing.T) { //nolint:tparallel // each looks at the last delivery
	t.Parallel()
	b := newBundle(t)
	const right, body = "hunter22", `{"a": 1}`
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	signature := func(value string) map[string]string { return map[string]string{"X-Hub-Signature-256": value} }
	for name, c := range map[string]struct {
		query  string
		header map[string]string
		reason string // "": let in
	}{
		"query":                     {query: "?secret=" + right},
		"bearer":                    {header: bearer(right)},
		"signature":                 {header: signature(sign(right, body))},
		"all":                       {"?secret=" + right, map[string]string{"Authorization": "Bearer " + right, "X-Hub-Signature-256": sign(right, body)}, ""},
		"of a proxy":                {"?secret=" + right, map[string]string{"Authorization": "Basic eDp5"}, ""},
		"none":                      {reason: "no secret and no signature"},
		"basic alone":               {header: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+right))}, reason: "no secret and no signature"},
		"empty query":               {query: "?secret=", reason: "wrong secret in the query"},
		"wrong query":               {query: "?secret=hunter23", reason: "wrong secret in the query"},
		"short query":               {query: "?secret=h", reason: "wrong secret in the query"},
		"twice, one wrong":          {query: "?secret=" + right + "&secret=x", reason: "wrong secret in the query"},
		"right bearer, wrong query": {"?secret=x", bearer(right), "wrong secret in the query"},
		"wrong bearer":              {header: bearer("x"), reason: "wrong bearer token"},
		"right query, wrong bearer": {"?secret=" + right, bearer("x"), "wrong bearer token"},
		"signature of another body": {header: signature(sign(right, "{}")), reason: "wrong signature"},
		"signature by another key":  {header: signature(sign("x", body)), reason: "wrong signature"},
		"short signature":           {header: signature("sha256=00"), reason: "wrong signature"},
		"no hex":                    {header: signature("sha256=zz"), reason: "wrong signature"},
		"another hash":              {header: signature("sha1=" + sign(right, body)[7:]), reason: "wrong signature"},
		"template":                  {query: "?secret=" + "%7B%7B%20secret.password%20%7D%7D", reason: "wrong secret in the query"},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.of(t).do(call{method: "POST", path: "/hooks/push" + c.query, body: body, header: c.header})
			if c.reason == "" {
				accepted := into[api.WebhookAccepted](t, a)
				require.Equal(t, api.WebhookAccepted{JobID: accepted.JobID, Trigger: "push", Task: "task"}, accepted)
			} else {
				requireError(t, a, 401, "Invalid or missing secret")
			}
			last := into[[]api.Delivery](t, b.of(t).get("/api/workspaces/default/triggers/push/deliveries?limit=1"))[0]
			require.Equal(t, a.status, last.Status)
			require.Equal(t, len(body), last.Bytes)
			require.Equal(t, "POST", last.Method)
			require.Equal(t, "127.0.0.1", last.RemoteAddress)
			if c.reason == "" {
				require.NotNil(t, last.JobID)
				require.Nil(t, last.Reason)
			} else {
				require.Nil(t, last.JobID)
				require.Equal(t, c.reason, *last.Reason)
			}
		})
	}
}

// TestWebhookHeadersThatStandTwice speaks the protocol itself: clients join such headers.
func TestWebhookHeadersThatStandTwice(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for header, want := range map[string]string{
		"Authorization: Bearer hunter22\r\nAuthorization: Bearer x\r\n":                                              "401",
		"Authorization: Bearer x\r\nAuthorization: Bearer hunter22\r\n":                                              "401",
		"X-Hub-Signature-256: " + sign("hunter22", "") + "\r\nX-Hub-Signature-256: sha256=00\r\n":                    "401",
		"X-Hub-Signature-256: " + sign("hunter22", "") + "\r\nX-Hub-Signature-256: " + sign("hunter22", "") + "\r\n": "200",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /hooks/push HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n%s\r\n", header)
		require.NoError(t, err)
		status, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Contains(t, status, " "+want+" ", header)
	}
}

func TestWebhookInput(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	input := func(c call) map[string]any {
		t.Helper()
		accepted := into[api.WebhookAccepted](t, b.do(c))
		job := into[api.JobDetail](t, b.get("/api/jobs/"+accepted.JobID))
		require.Equal(t, "webhook", job.SourceType)
		require.Equal(t, "default/"+accepted.Trigger, *job.SourceID)
		return job.Input.(map[string]any)
	}
	got := input(call{
		method: "POST", path: "/hooks/push?a=1&a=2&b=%00x&secret=hunter22", body: `{"n": 9007199254740993, "f": 1.5, "deep": [null, true]}`,
		contentType: "application/json; charset=utf-8",
		header:      map[string]string{"X-Event": "push", "X-Odd": "bl\u00e5", "Cookie": "c=1", "Authorization": "Bearer hunter22"},
	})
	require.Equal(t, map[string]any{"a": "2", "b": "\uFFFDx"}, got["query"])
	require.Equal(t, "POST", got["method"])
	require.InDelta(t, 1, got["extra"], 0)
	require.Equal(t, map[string]any{"n": 9007199254740993.0, "f": 1.5, "deep": []any{nil, true}}, got["body"], "the trigger's own body gives way")
	headers := got["headers"].(map[string]any)
	require.Equal(t, "push", headers["x-event"])
	for _, name := range []string{"authorization", "cookie", "x-odd", "X-Event"} {
		require.NotContains(t, headers, name)
	}
	for name, c := range map[string]struct {
		contentType, body string
		want              any
	}{
		"other json":    {"application/cloudevents+json", `{"a": "b"}`, map[string]any{"a": "b"}},
		"broken json":   {"application/json", `{"a": `, `{"a": `},
		"two values":    {"application/json", `1 2`, `1 2`},
		"json text":     {"application/json", `"x"`, "x"},
		"NUL in json":   {"application/json", `"a\u0000b"`, "a\uFFFDb"},
		"a huge number": {"application/json", `1e999`, `1e999`},
		"text":          {"text/plain", "hi", "hi"},
		"form":          {"application/x-www-form-urlencoded", "a=1", "a=1"},
		"binary":        {"application/octet-stream", "\xff\x00\x01", base64.StdEncoding.EncodeToString([]byte("\xff\x00\x01"))},
		"with NUL":      {"text/plain", "a\x00b", base64.StdEncoding.EncodeToString([]byte("a\x00b"))},
		"nothing":       {"text/plain", "", nil},
	} {
		got := input(call{method: "POST", path: "/hooks/open", contentType: c.contentType, body: c.body})
		require.Equal(t, c.want, got["body"], name)
		if name == "binary" || name == "with NUL" {
			require.Equal(t, "base64", got["body_encoding"])
		} else {
			require.NotContains(t, got, "body_encoding", name)
		}
	}
	got = input(call{method: "GET", path: "/hooks/open?secret=unasked&x=y"})
	require.Equal(t, "GET", got["method"])
	require.Nil(t, got["body"])
	require.Equal(t, map[string]any{"x": "y"}, got["query"], "a secret is never passed on")
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	post := func(path, body string) answer {
		return b.do(call{method: "POST", path: path, contentType: "text/plain", body: body})
	}
	requireError(t, post("/hooks/nothing", ""), 404, "Webhook not found")
	requireError(t, post("/hooks/closed", ""), 404, "Webhook not found")
	requireError(t, post("/hooks/nightly", ""), 404, "Webhook not found")
	requireError(t, post("/hooks/typed", ""), 400, "n")
	requireError(t, post("/hooks/broken?secret=", ""), 503, "cannot be made")
	requireError(t, post("/hooks/open", strings.Repeat("x", 5<<20+1)), 413, "at most 5242880")
	requireError(t, post("/hooks/open", strings.Repeat("x", 6<<20)), 413)
	require.Equal(t, http.StatusOK, post("/hooks/open", strings.Repeat("x", 5<<20)).status)
	for _, method := range []string{"HEAD", "PUT", "DELETE"} {
		a := b.do(call{method: method, path: "/hooks/open"})
		require.Equal(t, http.StatusMethodNotAllowed, a.status, method)
	}
	closed := into[[]api.Delivery](t, b.get("/api/workspaces/default/triggers/closed/deliveries"))
	require.Len(t, closed, 1)
	require.Equal(t, "the trigger is disabled", *closed[0].Reason)
	jobs := into[[]api.Job](t, b.get("/api/jobs"))
	require.Len(t, jobs, 1, "nothing but what was accepted has a job")
	require.Equal(t, 6<<20, into[[]api.Delivery](t, b.get("/api/workspaces/default/triggers/open/deliveries?offset=1&limit=1"))[0].Bytes)

	requireError(t, b.get("/api/workspaces/default/triggers/nothing/deliveries"), 404, "Trigger not found")
	requireError(t, b.get("/api/workspaces/default/triggers/nightly/deliveries"), 400, "has no deliveries")
	requireError(t, b.get("/api/workspaces/default/triggers/open/fires"), 400, "has no fires")
	require.Empty(t, into[[]api.Fire](t, b.get("/api/workspaces/default/triggers/nightly/fires")))
}

// A flood of refused requests is recorded in part, and so is what comes after it.
func TestWebhookFlood(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for range 300 {
		require.Equal(t, 401, b.do(call{method: "POST", path: "/hooks/push"}).status)
	}
	flood := b.get("/api/workspaces/default/triggers/push/deliveries?limit=500")
	require.Less(t, len(into[[]api.Delivery](t, flood)), 250)
	require.GreaterOrEqual(t, len(into[[]api.Delivery](t, flood)), 100)
	counted := b.api.Deliveries
	require.EqualValues(t, 300, counted.Deliveries.Counts()[tally.Labels{"default", "4xx"}], "all of it is counted")
	require.EqualValues(t, 300-len(into[[]api.Delivery](t, flood)), counted.Unrecorded.Counts()[tally.Labels{"default"}])
	require.Equal(t, 200, b.do(call{method: "POST", path: "/hooks/push?secret=hunter22"}).status)
	require.EqualValues(t, 1, counted.Deliveries.Counts()[tally.Labels{"default", "2xx"}])
	last := into[[]api.Delivery](t, b.get("/api/workspaces/default/triggers/push/deliveries?limit=1"))[0]
	_, err := uuid.Parse(*last.JobID)
	require.NoError(t, err, "what is accepted always is")
}

// local is this machine.
var local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestWebhookRate(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) {
		c.WebhookRate = ratelimit.New(1, 2, 100)
		c.Proxies = local
	})
	from := func(path, address string) answer {
		return b.do(call{method: "POST", path: path, header: map[string]string{"X-Forwarded-For": "127.0.0.1, " + address}})
	}
	last := func(trigger string) api.Delivery {
		return into[[]api.Delivery](t, b.get("/api/workspaces/default/triggers/"+trigger+"/deliveries?limit=1"))[0]
	}
	require.Equal(t, http.StatusOK, from("/hooks/open", "2001:db8::1").status)
	require.Equal(t, "2001:db8::1", last("open").RemoteAddress)
	require.Equal(t, http.StatusOK, from("/hooks/open", "2001:db8::2").status)
	refused := from("/hooks/open", "2001:db8::3")
	requireError(t, refused, http.StatusTooManyRequests, "Too many requests: try again in")
	require.Contains(t, string(refused.body), `"code":"too_many_requests"`)
	seconds, err := strconv.Atoi(refused.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
	require.LessOrEqual(t, seconds, 60)
	delivery := last("open")
	require.Equal(t, http.StatusTooManyRequests, delivery.Status)
	require.Contains(t, *delivery.Reason, "Too many requests")
	require.Equal(t, "2001:db8::3", delivery.RemoteAddress)
	require.Nil(t, delivery.JobID)
	require.Len(t, into[[]api.Job](t, b.get("/api/jobs")), 2)

	require.Equal(t, http.StatusOK, from("/hooks/open", "2001:db8:1::1").status, "another network")
	for range 2 {
		requireError(t, from("/hooks/push", "2001:db8::1"), http.StatusUnauthorized)
	}
	requireError(t, from("/hooks/push?secret=hunter22", "2001:db8::1"), http.StatusTooManyRequests)
	for range 5 { // what is switched off is as what does not exist
		requireError(t, from("/hooks/closed", "2001:db8::1"), http.StatusNotFound, "Webhook not found")
	}
}

func TestWebhookSendersThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	require.Equal(t, http.StatusOK, b.do(call{method: "POST", path: "/hooks/open", header: map[string]string{"X-Forwarded-For": "192.0.2.1"}}).status)
	require.Equal(t, "127.0.0.1", into[[]api.Delivery](t, b.get("/api/workspaces/default/triggers/open/deliveries"))[0].RemoteAddress)
}
