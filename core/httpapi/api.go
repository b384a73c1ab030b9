// Package httpapi serves the HTTP API: for people and their tools under /api, for workers under /worker. One table of
// routes (routes.go) registers the handlers and describes them in the OpenAPI document.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cors"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/ratelimit"
	"github.com/stroem/stroem/core/tally"
	"github.com/stroem/stroem/core/webhook"
	"github.com/stroem/stroem/core/workspace"
)

// Engine creates and stops jobs and talks to workers; see package engine.
type Engine interface {
	Execute(ctx context.Context, x engine.Execute) (uuid.UUID, error)
	Cancel(ctx context.Context, job uuid.UUID) (core.JobStatus, error)
	WaitJob(ctx context.Context, job uuid.UUID) error

	AuthenticateToken(token string) (name string, err error)
	Register(ctx context.Context, token string, r api.Register) (api.Registered, error)
	Revoke(ctx context.Context, worker uuid.UUID) (engine.GivenUp, error)
	Restore(ctx context.Context, worker uuid.UUID) error
	AuthenticateWorker(ctx context.Context, token string) (uuid.UUID, error)
	Heartbeat(ctx context.Context, worker uuid.UUID, r api.Heartbeat) error
	Claim(ctx context.Context, worker uuid.UUID, r api.ClaimRequest, alive func() bool) (api.ClaimResponse, error)
	Start(ctx context.Context, worker uuid.UUID, r api.StartRequest) (api.StepResults, error)
	SaveState(ctx context.Context, worker uuid.UUID, r api.StartRequest) (api.StepResults, error)
	Complete(ctx context.Context, worker uuid.UUID, r api.CompleteRequest) (api.CompleteResponse, error)
	Removed(ctx context.Context, worker uuid.UUID, r api.RemovedRequest) error
	CheckLease(ctx context.Context, worker uuid.UUID, ref engine.StepRef, lease string) (engine.Lease, error)
	WorkspaceToken(ctx context.Context, worker uuid.UUID, step core.StepID, lease string) (token string, until time.Time, err error)
	OpenWorkspaceToken(ctx context.Context, token string) (engine.Lease, error)

	// What hides the secrets of a workspace, or of a job that was loaded whole; nil hides nothing.
	WorkspaceMasker(workspace string) *mask.Masker
	MaskerOf(ctx context.Context, job *core.Job) *mask.Masker
}

// Store reads jobs and workers. What does not exist is an error with core.CodeNotFound.
type Store interface {
	ListJobs(ctx context.Context, f core.JobFilter) (jobs []core.Job, total int, err error)
	GetJob(ctx context.Context, id uuid.UUID) (core.Job, []core.Step, error)
	JobStatus(ctx context.Context, id uuid.UUID) (core.JobStatus, error)
	JobScope(ctx context.Context, id uuid.UUID) (workspace, task string, err error)
	ListWorkers(ctx context.Context, limit, offset int) (workers []core.Worker, total int, err error)
	GetWorker(ctx context.Context, id uuid.UUID) (core.Worker, error)
	ActiveWorkers(ctx context.Context) ([]core.Worker, error)
	ActionTypes(ctx context.Context) ([]core.ActionType, error)
	LastUses(ctx context.Context, workspace string, triggers []string) (map[string]core.TriggerUse, error)
	Fires(ctx context.Context, workspace, trigger string, limit int) ([]core.Fire, error)
	Deliveries(ctx context.Context, workspace, trigger string, limit, offset int) (list []core.Delivery, total int, err error)
	RecordDelivery(ctx context.Context, d core.Delivery) error
	Users(ctx context.Context, limit, offset int) (users []core.User, total int, err error)
	User(ctx context.Context, id uuid.UUID) (core.User, error)
	Audit(ctx context.Context, f core.AuditFilter) (entries []core.AuditEntry, total int, err error)
	RecordAudit(ctx context.Context, entries ...core.AuditEntry) error
	Ping(ctx context.Context) error
}

// Logs keeps the logs of jobs; see package logs.
type Logs interface {
	Append(ctx context.Context, job uuid.UUID, step string, attempt int, first int64, ndjson []byte) error
	View(ctx context.Context, job uuid.UUID) (*joblog.View, error)
	Wait(ctx context.Context, job uuid.UUID, after int64) error
	Position(ctx context.Context, job uuid.UUID, step string, attempt int) (joblog.Position, error)
}

// Workspaces knows the loaded workspaces; see package workspace.
type Workspaces interface {
	webhook.Workspaces
	List() []workspace.Status
	Status(name string) (workspace.Status, error)
	Tarball(ctx context.Context, name, revision, digest string) (*os.File, error)
	Refresh(ctx context.Context, name string) error
	Ready() bool
}

// Config is what the API is made of.
type Config struct {
	Engine      Engine
	Store       Store
	Logs        Logs
	Segments    Segments
	Replicas    Guard // nil: there are no others
	Workspaces  Workspaces
	Plugins     func() []api.Plugin // that this server runs; nil: none
	Metrics     http.Handler        // nil: not served here
	Deliveries  *tally.Webhooks     // what is counted; nil: for nobody
	Auth        *auth.Authenticator // nil: there are no users, and everybody may do everything
	Passwords   bool                // are offered to sign in with
	SignIn      SignIn              // nil: with passwords alone
	Policy      *access.Policy      // nil: roles alone
	PublicURL   *url.URL            // under which browsers know the server; nil: under whatever name they call it
	Secure      bool                // the server itself speaks TLS
	Local       bool                // this machine alone reaches the server: without users, under its own names alone
	Origins     []string            // whose pages may call the API from a browser; nil: the server's own alone
	Proxies     []netip.Prefix      // that are believed when they say for whom they ask
	WebhookRate *ratelimit.Limiter  // for each webhook and address; nil: none
	Logins      *ratelimit.Logins   // how often they may fail; nil: without limit
	Streams     Streams
	OpenStreams *tally.Counter // counts them; nil: for nobody
	Logger      *slog.Logger
}

// API is the HTTP server. Serve may be called once.
type API struct {
	Config
	app       *fiber.App
	webhooks  *webhook.Index
	powers    powers
	streams   *logStreams
	refused   *refusals       // of those who are known
	strangers *refusals       // of those who are not
	polls     context.Context // ends when the server stops: requests that wait for something are then answered
	stop      context.CancelFunc
}

const (
	kib = 1 << 10
	mib = 1 << 20

	// bodyLimit is the greatest of all routes' limits; each checks its own before it parses.
	bodyLimit = 8*mib + 64*kib
	// readTimeout bounds how long a client may take to send a request.
	readTimeout = 60 * time.Second
	// idleTimeout closes connections that are not used.
	idleTimeout = 3 * time.Minute
)

// New makes the API. All handlers may run concurrently.
func New(config Config) *API {
	if config.Deliveries == nil {
		config.Deliveries = &tally.Webhooks{}
	}
	if config.OpenStreams == nil {
		config.OpenStreams = &tally.Counter{}
	}
	config.Streams = config.Streams.orDefaults()
	a := &API{Config: config, streams: newLogStreams(config.Streams, config.OpenStreams), webhooks: webhook.NewIndex(config.Workspaces), powers: powers{policy: config.Policy}, refused: newRefusals(), strangers: newRefusals()}
	a.polls, a.stop = context.WithCancel(context.Background())
	a.app = fiber.New(fiber.Config{
		AppName: "stroem", ErrorHandler: a.fail, DisableStartupMessage: true,
		CaseSensitive: true, StrictRouting: true, // names differ by case; one address for one thing
		UnescapePath: false, // or an encoded slash would change the route
		Immutable:    true,  // fasthttp reuses its buffers; values outlive their request here
		BodyLimit:    bodyLimit, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		ReadBufferSize: 16 * kib,
	})
	a.app.Use(a.identify, recoverPanics, a.secureHeaders)
	if len(config.Origins) > 0 {
		a.app.Use(cors.New(cors.Config{ // without credentials: cookies are for the server's own pages
			AllowOrigins: strings.Join(config.Origins, ","), AllowHeaders: "Authorization,Content-Type,Idempotency-Key",
			AllowMethods: "GET,POST,PATCH,DELETE", ExposeHeaders: "X-Total-Count,X-Total-Capped,Link,X-Request-ID,Retry-After",
			MaxAge: int(time.Hour.Seconds()),
		}))
	}
	for _, r := range append(a.routes(), a.internalRoutes()...) {
		a.app.Add(r.method, r.path, a.handler(r))
		if r.method == fiber.MethodGet {
			a.app.Add(fiber.MethodHead, r.path, a.handler(r))
		}
	}
	return a
}

// Route is a method and a path that the API answers.
type Route struct{ Method, Path string }

// Routes are all routes that the router knows, with {name} for a part that varies.
func (a *API) Routes() []Route {
	var list []Route
	for _, r := range a.app.GetRoutes(true) {
		list = append(list, Route{r.Method, openAPIPath(r.Path)})
	}
	return list
}

// Serve answers requests on the listener until Shutdown.
func (a *API) Serve(l net.Listener) error {
	if err := a.app.Listener(l); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Shutdown answers the requests that wait, ends the log streams, lets requests under way finish until ctx ends, and closes the
// connections.
func (a *API) Shutdown(ctx context.Context) error {
	a.stop()
	return errors.Join(a.app.ShutdownWithContext(ctx), a.streams.stop(ctx))
}
