package worker

import (
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// finished is a step that has ended and whose result the server does not have yet. It keeps its slot until then.
type finished struct {
	step       *api.Claim
	completion api.Completion
}

// maxReport is how many bytes of results are enough for one request; a result itself is smaller than about two MiB, and
// the server takes eight.
const maxReport = 2 << 20

func (f *finished) size() int {
	size := len(f.completion.Output) + len(f.completion.Error)
	if f.completion.Logs != nil {
		size += len(f.completion.Logs.Lines)
	}
	return size
}

// completeLoop reports results: in one request all that have come together while the last one was on its way.
func (s *session) completeLoop() {
	for {
		select {
		case <-s.calls.Done():
			return
		case first := <-s.ended:
			s.complete(s.collect(first))
		}
	}
}

// collect adds to the first result those that wait already.
func (s *session) collect(first finished) []finished {
	batch, size := []finished{first}, first.size()
	for len(batch) < maxClaim && size < maxReport {
		select {
		case next := <-s.ended:
			batch, size = append(batch, next), size+next.size()
		default:
			return batch
		}
	}
	return batch
}

// complete reports a batch, and runs what the answer brings in its place.
func (s *session) complete(batch []finished) {
	request := api.CompleteRequest{}
	for _, f := range batch {
		request.Completions = append(request.Completions, f.completion)
	}
	n, now := len(batch), 0 // the slots of the batch stay taken: for the steps that the answer brings
	if tags, wanted := s.tags(), s.slots.reuse(n); wanted > 0 && s.mayClaim(tags) {
		request.Claim = &api.ClaimRequest{ClaimID: uuid.NewString(), MaxSteps: &wanted, WaitSecs: &now, Tags: tags}
	}
	answer, err := s.report(request, logUnavailable)
	if logUnavailable(err) && s.calls.Err() == nil {
		for _, f := range batch {
			s.group.Go(func() { s.completeLate(f) })
		}
		return
	}
	if err != nil {
		s.reportApart(batch, err)
		s.release(n)
		return
	}
	for i, result := range answer.Results {
		if i < n && result.Status != api.Accepted && result.Status != api.Duplicate {
			s.Logger.Warn("the server did not take a result", "job", batch[i].step.JobID, "step", batch[i].step.StepName, "answer", result.Status)
		}
	}
	s.take(api.ClaimResponse{Steps: answer.Steps, Stop: answer.Stop})
	s.release(n - len(answer.Steps))
}

// completeLate reports a step that ended with one whose last lines the server cannot store, or is that one: apart from all others, so
// that the disk, or one file, holds up nobody else's result.
func (s *session) completeLate(f finished) {
	defer s.release(1)
	if _, err := s.report(api.CompleteRequest{Completions: []api.Completion{f.completion}}, never); err != nil {
		s.reportApart([]finished{f}, err)
	}
}

// logUnavailable tells that the server has no room for log lines, or something like that, and may have later.
func logUnavailable(err error) bool { return client.IsCode(err, "log_unavailable") }

func never(error) bool { return false }

// report sends a request until it is answered, or in a way that is enough; a repeated claim is marked as one.
func (s *session) report(request api.CompleteRequest, enough func(error) bool) (api.CompleteResponse, error) {
	var delay backoff
	for {
		answer, err := s.server.Complete(s.calls, request)
		if s.note(err) == nil || refused(err) || enough(err) || s.calls.Err() != nil {
			return answer, err
		}
		s.Logger.Warn("reporting results, trying again", "results", len(request.Completions), "error", err)
		if request.Claim != nil {
			request.Claim.Retry = true
		}
		if delay.wait(s.calls, 100*time.Millisecond, 5*time.Second) != nil {
			return answer, err
		}
	}
}

// reportApart reports the results of a batch that the server refuses one by one: first whole, then without log lines, at
// last as a failure. A result must not be lost with that of another step, nor with its own lines or output.
func (s *session) reportApart(batch []finished, refusal error) {
	for _, f := range batch {
		for _, reduce := range []func(*api.Completion, error){
			func(*api.Completion, error) {},
			func(c *api.Completion, _ error) { c.Logs = nil },
			func(c *api.Completion, refusal error) {
				c.Output = nil
				if c.Error == "" {
					c.Error = "The step's result was refused: " + refusal.Error()
				}
			},
		} {
			reduce(&f.completion, refusal)
			_, err := s.report(api.CompleteRequest{Completions: []api.Completion{f.completion}}, never)
			if err == nil || s.calls.Err() != nil {
				break
			}
			s.Logger.Error("the server refuses a result", "job", f.step.JobID, "step", f.step.StepName, "error", err)
			refusal = err
		}
	}
}
