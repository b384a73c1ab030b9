package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core/api"
)

// route is one line of the API: what registers it, and what the OpenAPI document says of it.
type route struct {
	method, path string
	id           string // operationId
	summary      string
	permission   permission
	query        []parameter
	body         any // nil: none
	limit        int // of the body in bytes
	response     any // nil: not JSON; socket{}: the connection becomes a WebSocket; ndjson{}: one JSON value a line
	handle       func(*fiber.Ctx) error
}

type socket struct{}

type ndjson struct{ of any }

type parameter struct{ name, description string }

const smallBody = 256 * kib

var (
	pageQuery = []parameter{{"limit", "how many, 1 to 500; default 50"}, {"offset", "how many to pass over, up to 10,000"}}
	logQuery  = append([]parameter{
		{"from", "number of the first line, from 1"},
		{"limit", "how many lines"},
		{"tail", "only the last lines"},
		{"q", "text that a line contains; what is found in 5 s is answered, with next to go on from"},
		{"wait_secs", "wait up to so many seconds (60) for a line"},
	}, lineQuery...)
	lineQuery = []parameter{
		{"stream", "stdout or stderr"},
		{"since", "lines at or after this time (RFC 3339)"},
		{"until", "lines before this time (RFC 3339)"},
		{"regex", "true: q is a regular expression (RE2), of up to 1 KiB"},
		{"ignore_case", "true: q is found in upper and lower case; of A to Z alone, unless it is a regular expression"},
	}
	searchQuery = append([]parameter{
		{"q", "what to search for"},
		{"from", "number of the first line, from 1"},
		{"limit", "how many hits, up to 10,000; default 1,000"},
		{"step", "only lines of this step; _server for what the server said"},
	}, lineQuery...)
	downloadQuery = append([]parameter{
		{"format", "text (as it was printed; the default) or jsonl (as it is stored)"},
		{"timestamps", "true: with the time before each line, as text"},
		{"steps", "true: with the step before each line, as text"},
		{"from", "number of the first line, from 1"},
		{"q", "text that a line contains"},
	}, lineQuery...)
	streamQuery = []parameter{
		{"from", "number of the first line, from 1"},
		{"step", "only lines of this step; _server for what the server said"},
		{"ticket", "in place of an Authorization header, from createStreamTicket"},
	}
	webhookQuery = []parameter{{"secret", "the trigger's secret; or as a bearer token, or as the key of X-Hub-Signature-256"}}
	tarballQuery = []parameter{
		{"revision", "that of the step's job, or the current one, which is the default"},
		{"step_id", "the step that the lease is for; a claim's workspace_url has it"},
	}
	jobQuery = append([]parameter{
		{"workspace", "only jobs of this workspace"},
		{"task_name", "only jobs of this task; needs workspace"},
		{"status", "only these states, comma-separated"},
		{"source_type", "only jobs started by these, comma-separated"},
		{"since", "created at or after this time (RFC 3339)"},
		{"until", "created before this time (RFC 3339)"},
		{"parent_job_id", "only child jobs of this job"},
		{"before", "go on behind this job: created_at,job_id"},
	}, pageQuery...)
)

func (a *API) routes() []route {
	return []route{
		{"GET", "/api/config", "getConfig", "How to sign in", public, nil, nil, 0, api.Config{}, a.getConfig},
		{"GET", "/api/openapi.json", "getOpenAPI", "This document", public, nil, nil, 0, nil, a.getOpenAPI},
		{"GET", "/livez", "livez", "Whether the process lives", public, nil, nil, 0, api.Health{}, a.livez},
		{"GET", "/readyz", "readyz", "Whether requests can be served", public, nil, nil, 0, api.Health{}, a.readyz},
		{"GET", "/healthz", "healthz", "The same as /readyz", public, nil, nil, 0, api.Health{}, a.readyz},
		{"GET", "/metrics", "getMetrics", "Metrics in the format of Prometheus", public, nil, nil, 0, nil, a.getMetrics},

		{"POST", "/api/auth/login", "login", "Sign in with a password", public, nil, api.Login{}, smallBody, api.Tokens{}, a.login},
		{"POST", "/api/auth/refresh", "refresh", "Spend a refresh token, of the body or of the cookie, for the next tokens; one that comes twice ends its session", public, nil, api.Refresh{}, smallBody, api.Tokens{}, a.refresh},
		{"POST", "/api/auth/logout", "logout", "End the session of a refresh token", public, nil, api.Refresh{}, smallBody, api.Status{}, a.logout},
		{"GET", "/api/auth/oidc/:provider", "beginSignIn", "Send the browser to a provider to sign in", public, nil, nil, 0, nil, a.beginSignIn},
		{"GET", "/api/auth/oidc/:provider/callback", "finishSignIn", "Where a provider sends the browser back", public, nil, nil, 0, nil, a.finishSignIn},
		{"GET", "/api/auth/me", "getMe", "Who the token is of", own, nil, nil, 0, api.Me{}, a.me},
		{"POST", "/api/auth/password", "changePassword", "Change one's own password, which ends all sessions; answers with the tokens of a new one", own, nil, api.PasswordChange{}, smallBody, api.Tokens{}, a.changePassword},
		{"POST", "/api/auth/api-keys", "createAPIKey", "Make an API key; no other answer ever holds it", ownSecrets, nil, api.NewAPIKey{}, smallBody, api.CreatedAPIKey{}, a.createAPIKey},
		{"GET", "/api/auth/api-keys", "listAPIKeys", "One's own API keys, newest first", ownSecrets, nil, nil, 0, []api.UserAPIKey{}, a.listAPIKeys},
		{"DELETE", "/api/auth/api-keys/:prefix", "deleteAPIKey", "Remove all of one's own API keys with a prefix", ownSecrets, nil, nil, 0, api.Status{}, a.deleteAPIKey},
		{"POST", "/api/auth/ws-ticket", "createStreamTicket", "Make a ticket that opens the log stream of a job once, for browsers", own, nil, api.TicketRequest{}, smallBody, api.Ticket{}, a.makeTicket},
		{"GET", "/api/users", "listUsers", "Users, newest first", sees(ofAll), pageQuery, nil, 0, []api.User{}, a.listUsers},
		{"POST", "/api/users", "createUser", "Create a user", administers, nil, api.NewUser{}, smallBody, api.User{}, a.createUser},
		{"GET", "/api/users/:id", "getUser", "A user", sees(ofAll), nil, nil, 0, api.User{}, a.getUser},
		{"PATCH", "/api/users/:id", "changeUser", "Change a user; a new role or password, or disabling them, ends their sessions", administers, nil, api.UserChange{}, smallBody, api.User{}, a.changeUser},

		{"GET", "/api/workspaces", "listWorkspaces", "All workspaces", sees(ofAll), nil, nil, 0, []api.Workspace{}, a.listWorkspaces},
		{"POST", "/api/workspaces/:ws/refresh", "refreshWorkspace", "Ask the source of a workspace for the newest revision at once, and load it; tells what came of it", runs(ofWorkspace), nil, nil, 0, api.Workspace{}, a.refreshWorkspace},
		{"GET", "/api/workspaces/:ws/tasks", "listTasks", "The tasks of a workspace", sees(ofWorkspace), nil, nil, 0, []api.TaskItem{}, a.listTasks},
		{"GET", "/api/workspaces/:ws/tasks/:name", "getTask", "A task with its inputs, flow and triggers; what is secret is masked", sees(ofTask), nil, nil, 0, api.Task{}, a.getTask},
		{"POST", "/api/workspaces/:ws/tasks/:name/execute", "executeTask", "Run a task; an Idempotency-Key makes repeating it safe", runs(ofTask), nil, api.ExecuteRequest{}, mib, api.ExecuteResponse{}, a.executeTask},
		{"GET", "/api/workspaces/:ws/triggers", "listTriggers", "The triggers of a workspace", sees(ofWorkspace), nil, nil, 0, []api.Trigger{}, a.listTriggers},
		{"GET", "/api/workspaces/:ws/triggers/:name/fires", "listFires", "When a trigger by time has fired, newest first", sees(ofTrigger), []parameter{{"limit", "how many, 1 to 500; default 50"}}, nil, 0, []api.Fire{}, a.listFires},
		{"GET", "/api/workspaces/:ws/triggers/:name/deliveries", "listDeliveries", "Requests to a webhook, newest first; the last 1,000 are kept", sees(ofTrigger), pageQuery, nil, 0, []api.Delivery{}, a.listDeliveries},

		{"GET", "/api/jobs", "listJobs", "Jobs, newest first", sees(ofAll), jobQuery, nil, 0, []api.Job{}, a.listJobs},
		{"GET", "/api/jobs/:id", "getJob", "A job with its steps; what is secret is masked", sees(ofJob), []parameter{{"wait_secs", "wait up to so many seconds (60) for the job to end"}}, nil, 0, api.JobDetail{}, a.getJob},
		{"POST", "/api/jobs/:id/cancel", "cancelJob", "Cancel a job", runs(ofJob), nil, nil, 0, api.CancelResponse{}, a.cancelJob},
		{"GET", "/api/jobs/:id/logs", "getJobLogs", "The log of a job; what is secret is masked", sees(ofJob), logQuery, nil, 0, api.Logs{}, a.getLogs},
		{"GET", "/api/jobs/:id/logs/search", "searchJobLogs", "Search in the log of a job: hits as they are found, now and then how far the search is, and at last done; ends after 60 s", sees(ofJob), searchQuery, nil, 0, ndjson{api.LogFound{}}, a.searchLogs},
		{"GET", "/api/jobs/:id/logs/raw", "downloadJobLogs", "The whole log of a job as text or as NDJSON; what is secret is masked", sees(ofJob), downloadQuery, nil, 0, nil, a.downloadLogs},
		{"GET", "/api/jobs/:id/logs/stream", "streamJobLogs", "The log of a job on a WebSocket, as it is stored and as it comes: text frames of whole lines; closed with 1000 when the job has ended; what is secret is masked", watches(ofJob), streamQuery, nil, 0, socket{}, a.streamLogs},
		{"GET", "/api/jobs/:id/steps/:step/logs", "getStepLogs", "The log of a step; _server for what the server said", sees(ofJob), logQuery, nil, 0, api.Logs{}, a.getLogs},
		{"GET", "/api/jobs/:id/steps/:step/logs/raw", "downloadStepLogs", "The whole log of a step as text or as NDJSON; _server for what the server said", sees(ofJob), downloadQuery, nil, 0, nil, a.downloadLogs},
		{"GET", "/api/workers", "listWorkers", "Workers, active ones first, then those that are revoked", sees(ofAll), pageQuery, nil, 0, []api.Worker{}, a.listWorkers},
		{"GET", "/api/workers/:id", "getWorker", "A worker with its plugins and latest jobs", sees(ofAll), nil, nil, 0, api.WorkerDetail{}, a.getWorker},
		{"POST", "/api/workers/:id/revoke", "revokeWorker", "Let a worker do nothing any more, give up its steps, and keep its name from registering", administers, nil, nil, 0, api.RevokedWorker{}, a.revokeWorker},
		{"POST", "/api/workers/:id/restore", "restoreWorker", "Let the name of a revoked worker register again", administers, nil, nil, 0, api.Worker{}, a.restoreWorker},
		{"GET", "/api/plugins", "listPlugins", "The plugins of the server and of active workers, and how they are", sees(ofAll), nil, nil, 0, []api.HostedPlugin{}, a.listPlugins},
		{"GET", "/api/action-types", "listActionTypes", "The types of actions, and how many workers run them", sees(ofAll), nil, nil, 0, []api.OfferedActionType{}, a.listActionTypes},
		{"GET", "/api/audit", "listAudit", "The audit log: who did what, newest first", administers, auditQuery, nil, 0, []api.AuditEntry{}, a.listAudit},

		{"GET", "/hooks/:name", "callWebhook", "Start the task of a webhook", public, webhookQuery, nil, 0, api.WebhookAccepted{}, a.callWebhook},
		{"POST", "/hooks/:name", "postWebhook", "Start the task of a webhook with the body, of up to 5 MiB", public, webhookQuery, nil, 0, api.WebhookAccepted{}, a.callWebhook},

		{"POST", "/worker/register", "registerWorker", "Introduce a worker", forRegister, nil, api.Register{}, 4 * mib, api.Registered{}, a.registerWorker},
		{"POST", "/worker/heartbeat", "heartbeat", "Say that the worker lives, and what its plugins have become", forWorker, nil, api.Heartbeat{}, 4 * mib, api.Status{}, a.heartbeat},
		{"POST", "/worker/jobs/claim", "claimSteps", "Take ready steps, and hear which to stop; waits for them", forWorker, nil, api.ClaimRequest{}, smallBody, api.ClaimResponse{}, a.claimSteps},
		{"POST", "/worker/steps/start", "startSteps", "Report that steps are about to be spawned", forWorker, nil, api.StartRequest{}, mib, api.StepResults{}, a.startSteps},
		{"POST", "/worker/steps/state", "saveStepState", "Keep what runners said of started steps", forWorker, nil, api.StartRequest{}, 4 * mib, api.StepResults{}, a.saveStepState},
		{"POST", "/worker/steps/workspace_token", "makeWorkspaceToken", "Make a token that opens the workspace_url of a step, whose lease is in X-Stroem-Lease, to be handed to the step's container", forWorker, nil, api.WorkspaceTokenRequest{}, smallBody, api.WorkspaceToken{}, a.makeWorkspaceToken},
		{"POST", "/worker/steps/removed", "removedRuns", "Report lost runs of which nothing is left", forWorker, nil, api.RemovedRequest{}, smallBody, api.Status{}, a.removedRuns},
		{"POST", "/worker/steps/complete", "completeSteps", "Report ended steps, with their last lines; may ask for the next ones", forWorker, nil, api.CompleteRequest{}, bodyLimit, api.CompleteResponse{}, a.completeSteps},
		{"POST", "/worker/jobs/:id/steps/:step/start", "startStep", "Report the start of one step", forWorker, nil, api.Heartbeat{}, smallBody, api.Status{}, a.startStep},
		{"POST", "/worker/jobs/:id/steps/:step/complete", "completeStep", "Report the end of one step", forWorker, nil, api.Completion{}, 4 * mib, api.Status{}, a.completeStep},
		{"POST", "/worker/jobs/:id/logs", "appendLogs", "Add lines to a step's log, as JSON, or as NDJSON in storage format with ?step= and ?first=", forWorker, []parameter{{"step", "the step, with NDJSON"}, {"first", "number of the first line within the attempt, with NDJSON"}}, api.LogPush{}, 8 * mib, api.Status{}, a.appendLogs},
		{"GET", "/worker/workspace/:ws", "getWorkspace", "The files of a workspace revision (name.tar.gz) as a gzipped tar, for a step whose lease is in X-Stroem-Lease, or with its workspace token", forContainer, tarballQuery, nil, 0, nil, a.getWorkspace},
	}
}
