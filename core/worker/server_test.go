package worker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

const sharedToken = "shared token"

// server behaves as the real one towards workers: it keeps steps, hands them out with leases, and takes reports of the
// current attempt alone. It can lose requests and answers, and be away.
type server struct {
	t    *testing.T
	http *httptest.Server

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	away     bool
	faults   map[string][]fault // by path, for the requests to come
	workers  map[string]*registered
	steps    []*step
	archives map[string][]byte // by revision
	calls    map[string]int    // by path; of archives by address
	claims   []api.ClaimRequest
	open     int             // claims that are not answered yet, those whose worker has gone included
	starts   []int           // steps per call
	reports  []int           // results per call
	plugins  []api.Heartbeat // those that tell of plugins
	interval float64
	maxBytes int64         // of one step's log
	granted  func()        // called before steps are handed out
	remove   []api.LostRun // that the next worker is told of
	removed  []int64       // that workers have reported
	denied   string        // the code of answers to workers that register, "" for none
	renewals int
}

// completion is what a worker reports of a step.
type completion = api.Completion

type registered struct {
	api.Register
	superseded bool
	revoked    bool
	changed    bool // it has to register again, as the same one
}

// step is a step as the server sees it.
type step struct {
	api.Claim
	tag     string
	status  string // ready, claimed, running, done
	worker  string // token
	claimID string
	resume  *api.LogKnown // the next worker of the name is to take the step up
	stop    string        // reason
	told    bool          // the worker was told to stop
	starts  int
	state   []byte
	mask    []string // told with the state
	reports int      // accepted
	result  api.Completion
	log     string
	lines   int64 // in log
	refuse  func(completion) bool
	full    bool // there is no room for its log
}

// fault is what goes wrong with a request.
type fault string

const (
	dropped  fault = "the request never arrives"
	lost     fault = "the answer is lost"
	proxy503 fault = "a proxy answers for the server"
	refusal  fault = "the server refuses"
)

func newServer(t *testing.T) *server {
	s := &server{
		t: t, changed: make(chan struct{}), faults: map[string][]fault{}, workers: map[string]*registered{},
		archives: map[string][]byte{"rev1": pack(t, map[string]string{"hello.txt": "hello", "dir/run.sh": "#!/bin/sh\n"})},
		calls:    map[string]int{}, interval: 60,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /worker/register", s.register)
	handle(s, mux, "POST /worker/heartbeat", func(_ string, r api.Heartbeat, _ *http.Request) (any, error) {
		if r.Plugins != nil {
			s.do(func() { s.plugins = append(s.plugins, r) })
		}
		return api.Status{Status: "ok"}, nil
	})
	handle(s, mux, "POST /worker/jobs/claim", s.claim)
	handle(s, mux, "POST /worker/steps/start", s.start)
	handle(s, mux, "POST /worker/steps/state", s.saveState)
	handle(s, mux, "POST /worker/steps/removed", s.reportRemoved)
	handle(s, mux, "POST /worker/steps/complete", s.complete)
	handle(s, mux, "POST /worker/steps/workspace_token", s.workspaceToken)
	mux.HandleFunc("POST /worker/jobs/{job}/logs", s.appendLogs)
	mux.HandleFunc("GET /worker/workspace/{name}", s.archive)
	s.http = httptest.NewServer(s.disturb(mux))
	t.Cleanup(s.http.Close)
	return s
}

// add makes a step ready. Its fields are those of an action that does what the scripted runner says for the name.
func (s *server) add(name string, change ...func(*step)) *step {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &step{
		Claim: api.Claim{
			StepID: int64(len(s.steps) + 1), Attempt: 1, Workspace: "ws", Revision: "rev1",
			WorkspaceURL: "/worker/workspace/ws.tar.gz?revision=rev1", JobID: fmt.Sprintf("job-%d", len(s.steps)+1),
			StepName: name, TaskName: "task", ActionName: "action", ActionType: "shell", Runner: "local",
			ActionSpec: json.RawMessage(`{"type":"shell","cmd":"true"}`), Input: json.RawMessage(`{}`),
		},
		tag: "shell", status: "ready",
	}
	for _, f := range change {
		f(added)
	}
	s.steps = append(s.steps, added)
	s.announce()
	return added
}

// announce wakes whoever waits for a change; s.mu is held.
func (s *server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// do changes the server's state.
func (s *server) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.announce()
}

// eventually waits until a condition on the server's state holds.
func (s *server) eventually(what string, condition func() bool) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		met, changed := condition(), s.changed
		s.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(s.t, "it does not come to it that "+what)
		}
	}
}

// result waits for the end of a step.
func (s *server) result(st *step) api.Completion {
	s.t.Helper()
	s.eventually(st.StepName+" has ended", func() bool { return st.status == "done" })
	s.mu.Lock()
	defer s.mu.Unlock()
	return st.result
}

// fail makes the next requests to a path go wrong.
func (s *server) fail(path string, faults ...fault) {
	s.do(func() { s.faults[path] = append(s.faults[path], faults...) })
}

// disturb does what fail and away ask for.
func (s *server) disturb(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls[r.URL.Path]++
		var f fault
		if queue := s.faults[r.URL.Path]; len(queue) > 0 {
			f, s.faults[r.URL.Path] = queue[0], queue[1:]
		}
		if s.away {
			f = dropped
		}
		s.announce()
		s.mu.Unlock()
		switch f {
		case dropped:
			panic(http.ErrAbortHandler)
		case lost:
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case proxy503:
			http.Error(w, "<html>Service Unavailable</html>", http.StatusServiceUnavailable)
		case refusal:
			answer(w, http.StatusBadRequest, api.Error{Error: "It is wrong", Code: "invalid"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the worker may have gone
}

type httpError struct {
	status int
	code   string
}

func (e *httpError) Error() string { return e.code }

func answerWith(w http.ResponseWriter, v any, err error) {
	if failure, ok := err.(*httpError); ok { //nolint:errorlint // made here
		answer(w, failure.status, api.Error{Error: failure.code, Code: failure.code})
		return
	}
	answer(w, http.StatusOK, v)
}

// handle registers a call of workers that have registered.
func handle[T any](s *server, mux *http.ServeMux, pattern string, f func(token string, request T, r *http.Request) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var request T
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			answer(w, http.StatusBadRequest, api.Error{Error: err.Error(), Code: "bad_request"})
			return
		}
		token, err := s.authenticate(r)
		if err != nil {
			answerWith(w, nil, err)
			return
		}
		v, err := f(token, request, r)
		answerWith(w, v, err)
	})
}

func (s *server) authenticate(r *http.Request) (token string, err error) {
	token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch known := s.workers[token]; {
	case known == nil:
		return "", &httpError{http.StatusUnauthorized, "worker_unknown"}
	case known.revoked:
		return "", &httpError{http.StatusForbidden, "worker_revoked"}
	case known.changed:
		return "", &httpError{http.StatusUnauthorized, "worker_token_changed"}
	case known.superseded:
		return "", &httpError{http.StatusConflict, "superseded"}
	default:
		return token, nil
	}
}
