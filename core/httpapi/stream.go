package httpapi

import (
	"cmp"
	"errors"
	"math"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// Streams are the limits of log streams. Zero fields are the defaults.
type Streams struct {
	Max        int           // open at once; 1,000
	MaxPerUser int           // of them, if there are users; 100
	Ping       time.Duration // between pings; 30 s. A viewer of whom nothing is heard for two and a half times as long is gone
	Stall      time.Duration // that a viewer may take for a frame; 30 s
	Check      time.Duration // between looks at whether the user may still see the job; 5 s
	Rate       int64         // bytes a second that all of them are sent; 32 MiB for each processor
}

func (s Streams) orDefaults() Streams {
	return Streams{
		Max: cmp.Or(s.Max, 1000), MaxPerUser: cmp.Or(s.MaxPerUser, 100), Ping: cmp.Or(s.Ping, 30*time.Second),
		Stall: cmp.Or(s.Stall, 30*time.Second), Check: cmp.Or(s.Check, 5*time.Second),
		Rate: cmp.Or(s.Rate, 32*mib*int64(runtime.GOMAXPROCS(0))),
	}
}

// frameBytes bounds a frame, but for one of a single line that is longer.
const frameBytes = 64 * kib

// upgrader leaves to us who may connect, and how it is said.
var upgrader = websocket.FastHTTPUpgrader{
	ReadBufferSize: kib, WriteBufferSize: 4 * kib,
	CheckOrigin: func(*fasthttp.RequestCtx) bool { return true },
	Error:       func(*fasthttp.RequestCtx, int, error) {},
}

// streamLogs makes the connection a WebSocket, on which the log comes.
func (a *API) streamLogs(c *fiber.Ctx) error {
	id, err := uuidParam(c, "job")
	if err != nil {
		return err
	}
	q := &query{c: c}
	lines := joblog.Query{Step: q.text("step"), From: q.number("from", 1, 1, math.MaxInt64), Bytes: frameBytes}
	if q.err != nil {
		return q.err
	}
	workspace, task, err := a.Store.JobScope(requestContext(c), id)
	if err != nil {
		return err
	}
	if err := a.mayUpgrade(c); err != nil {
		return err
	}
	who := user(c).Principal
	switch a.streams.refuse(who.User.ID) {
	case endOfRoom:
		return core.Errorf(core.CodeUnavailable, "too_many_streams", "%d log streams are open, and more may not be: try again later", a.Streams.Max)
	case endOfShare:
		return core.Errorf(core.CodeUnavailable, "too_many_streams", "You have %d log streams open, and more may not be: close some", a.Streams.MaxPerUser)
	}
	s := &logStream{api: a, job: id, workspace: workspace, task: task, query: lines, who: who}
	if err := upgrader.Upgrade(c.Context(), s.serve); err != nil {
		c.Set("Sec-WebSocket-Version", "13")
		return invalid("The WebSocket cannot be opened: %s", strings.TrimPrefix(err.Error(), "websocket: "))
	}
	return nil
}

// mayUpgrade refuses plain requests, and those of other sites' pages.
func (a *API) mayUpgrade(c *fiber.Ctx) error {
	if c.Method() != fiber.MethodGet || !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return fiber.NewError(fiber.StatusUpgradeRequired, "Here is a WebSocket: ask with Upgrade: websocket, or for the log without /stream")
	}
	return a.requireKnownOrigin(c)
}

// requireKnownOrigin is requireOwnOrigin that also lets in the configured origins. No browser asks whether a WebSocket may be
// opened, so that all there is between a page and the log of an open server is this. There, a name that is not known to be ours
// does not do, even if the request came by that name: whoever owns it can have it lead here (DNS rebinding).
func (a *API) requireKnownOrigin(c *fiber.Ctx) error {
	text := c.Get(fiber.HeaderOrigin)
	if text == "" || slices.ContainsFunc(a.Origins, func(known string) bool { return strings.EqualFold(known, text) }) {
		return nil
	}
	if err := a.requireOwnOrigin(c, true); err != nil || a.Auth != nil {
		return err
	}
	origin, err := url.Parse(text)
	if err == nil && (isLiteral(origin.Hostname()) || a.PublicURL != nil && strings.EqualFold(origin.Host, a.PublicURL.Host)) {
		return nil
	}
	return core.Errorf(core.CodeForbidden, "origin_not_allowed",
		"The server does not know that %.200q is itself: set public_url, or open it by its IP address", text)
}

// isLiteral tells that a host is no name that somebody else may own.
func isLiteral(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// raw is the connection below a WebSocket: fasthttp's own, around it, cannot be closed.
func raw(conn *websocket.Conn) (net.Conn, error) {
	hijacked, ok := conn.NetConn().(interface{ UnsafeConn() net.Conn })
	if !ok {
		return nil, errors.New("the connection is not one of fasthttp's")
	}
	return hijacked.UnsafeConn(), nil
}
