package worker_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/stroem/stroem/core/api"
)

func (s *server) register(w http.ResponseWriter, r *http.Request) {
	var request api.Register
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || r.Header.Get("Authorization") != "Bearer "+sharedToken {
		answer(w, http.StatusUnauthorized, api.Error{Error: "Invalid worker token", Code: "unauthenticated"})
		return
	}
	if s.renew(w, request) {
		return
	}
	token := rand.Text()
	identity := api.Registered{WorkerID: "id of " + request.Name, Token: token, HeartbeatIntervalSecs: s.interval, MaxStepBytes: s.maxBytes}
	s.do(func() {
		identity.Resume, identity.Remove = s.handOver(token), s.remove
		for _, other := range s.workers {
			other.superseded = other.superseded || other.Name == request.Name
		}
		s.workers[token] = &registered{Register: request}
	})
	answer(w, http.StatusOK, identity)
}

// renew answers workers that go on as the ones that they are, and those that are not let in.
func (s *server) renew(w http.ResponseWriter, request api.Register) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.announce()
	known := s.workers[request.WorkerToken]
	switch {
	case s.denied != "":
		answer(w, http.StatusForbidden, api.Error{Error: s.denied, Code: s.denied})
	case known != nil:
		known.changed = false
		s.renewals++
		answer(w, http.StatusOK, api.Registered{WorkerID: "id of " + request.Name, Token: request.WorkerToken, HeartbeatIntervalSecs: s.interval})
	default:
		return false
	}
	return true
}

// handOver gives the steps that can be taken up to a worker; s.mu is held.
func (s *server) handOver(token string) (claims []api.Claim) {
	for _, st := range s.steps {
		if st.resume != nil && st.status == "running" {
			st.worker, st.Lease, st.told = token, rand.Text(), false
			claim := st.Claim
			claim.State, claim.LogPosition = st.state, st.lines
			if st.lines > 0 {
				claim.LogKnown = st.resume
			}
			claims = append(claims, claim)
		}
	}
	return claims
}

func (s *server) reportRemoved(_ string, request api.RemovedRequest, _ *http.Request) (any, error) {
	s.do(func() { s.removed = append(s.removed, request.StepIDs...) })
	return api.Status{Status: "ok"}, nil
}

func (s *server) claim(token string, request api.ClaimRequest, r *http.Request) (any, error) {
	deadline := time.After(time.Duration(*request.WaitSecs) * time.Second)
	s.do(func() { s.claims, s.open = append(s.claims, request), s.open+1 })
	defer s.do(func() { s.open-- })
	for {
		if _, err := s.authenticate(r); err != nil {
			return nil, err
		}
		s.mu.Lock()
		response, changed, away, granted := s.grant(token, request), s.changed, s.away, s.granted
		s.mu.Unlock()
		if len(response.Steps) > 0 && granted != nil {
			granted()
		}
		if away {
			panic(http.ErrAbortHandler)
		}
		if len(response.Steps) > 0 || len(response.Stop) > 0 || *request.WaitSecs == 0 {
			return response, nil
		}
		select {
		case <-changed:
		case <-deadline:
			return response, nil
		case <-r.Context().Done():
			return nil, &httpError{499, "gone"}
		}
	}
}

// grant hands out steps and stops; s.mu is held.
func (s *server) grant(token string, request api.ClaimRequest) api.ClaimResponse {
	response := api.ClaimResponse{Steps: []api.Claim{}, Stop: []api.Stop{}}
	for _, st := range s.steps {
		again := request.Retry && st.status == "claimed" && st.worker == token && st.claimID == request.ClaimID
		fresh := !request.Retry && st.status == "ready" && slices.Contains(request.Tags, st.tag)
		if len(response.Steps) < *request.MaxSteps && (again || fresh) {
			st.status, st.worker, st.claimID, st.Lease = "claimed", token, request.ClaimID, rand.Text()
			response.Steps = append(response.Steps, st.Claim)
			s.announce()
		}
		if st.worker == token && st.stop != "" && !st.told && (st.status == "claimed" || st.status == "running") {
			st.told = true
			response.Stop = append(response.Stop, api.Stop{
				StepID: st.StepID, Attempt: st.Attempt, JobID: st.JobID, StepName: st.StepName, Reason: st.stop,
			})
		}
	}
	return response
}

// held returns a step if the lease is its current one; s.mu is held.
func (s *server) held(id int64, lease string) (*step, string) {
	for _, st := range s.steps {
		if st.StepID == id && st.Lease == lease && lease != "" {
			return st, api.Accepted
		}
	}
	return nil, api.Stale
}

func (s *server) start(_ string, request api.StartRequest, _ *http.Request) (any, error) {
	var results api.StepResults
	s.do(func() {
		s.starts = append(s.starts, len(request.Steps))
		for _, lease := range request.Steps {
			st, status := s.held(lease.StepID, lease.Lease)
			if st != nil && st.status != "claimed" && st.status != "running" {
				status = api.Stale
			}
			if status == api.Accepted {
				st.status = "running"
				st.starts++
			}
			results.Results = append(results.Results, api.StepResult{StepID: lease.StepID, Status: status})
		}
	})
	return results, nil
}

func (s *server) saveState(_ string, request api.StartRequest, _ *http.Request) (any, error) {
	var results api.StepResults
	s.do(func() {
		for _, lease := range request.Steps {
			st, status := s.held(lease.StepID, lease.Lease)
			if st != nil {
				st.state, st.mask = lease.State, lease.Mask
			}
			results.Results = append(results.Results, api.StepResult{StepID: lease.StepID, Status: status})
		}
	})
	return results, nil
}

func (s *server) complete(token string, request api.CompleteRequest, _ *http.Request) (any, error) {
	response := api.CompleteResponse{}
	var refused error
	s.do(func() {
		for _, c := range request.Completions {
			if st, _ := s.held(c.StepID, c.Lease); st != nil && st.refuse != nil && st.refuse(c) {
				refused = &httpError{http.StatusBadRequest, "invalid"}
				return
			}
		}
		s.reports = append(s.reports, len(request.Completions))
		for _, c := range request.Completions {
			st, status := s.held(c.StepID, c.Lease)
			switch {
			case st == nil:
			case st.full:
				refused = &httpError{http.StatusServiceUnavailable, "log_unavailable"}
			case st.status == "done":
				status = api.Duplicate
			default:
				st.status, st.result = "done", c
				st.reports++
				if c.Logs != nil {
					s.store(st, c.Logs.First, c.Logs.Lines)
				}
			}
			response.Results = append(response.Results, api.StepResult{StepID: c.StepID, Status: status})
		}
		if request.Claim != nil && refused == nil {
			granted := s.grant(token, *request.Claim)
			response.Steps, response.Stop = granted.Steps, granted.Stop
		}
	})
	return response, refused
}
