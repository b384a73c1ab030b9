package replica

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/logs"
)

const (
	// answerLimit is how long another replica may take for an answer. One that does not answer is not asked for downPause.
	answerLimit = 5 * time.Second
	downPause   = 500 * time.Millisecond
	// mostAnswer bounds what is read of an answer in JSON.
	mostAnswer = 256 << 20
)

// Peers are the other replicas, over HTTP; it is what [logs.Peers] says.
type Peers struct {
	key    Key
	client *http.Client

	mu   sync.Mutex
	down map[uuid.UUID]time.Time // replicas that did not answer: until when they are not asked
}

// NewPeers returns the other replicas for one that has their key. config is for those that are reached over TLS; nil is the usual one.
func NewPeers(key Key, config *tls.Config) *Peers {
	return &Peers{key: key, down: map[uuid.UUID]time.Time{}, client: &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: config, MaxIdleConnsPerHost: 64, IdleConnTimeout: 2 * time.Minute,
			ResponseHeaderTimeout: time.Minute, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are not in use.
func (p *Peers) Close() { p.client.CloseIdleConnections() }

// Append implements [logs.Peers].
func (p *Peers) Append(ctx context.Context, to core.LogSegment, step string, attempt int, first int64, ndjson []byte) error {
	query := url.Values{"step": {step}, "attempt": {strconv.Itoa(attempt)}, "first": {strconv.FormatInt(first, 10)}}
	return p.call(ctx, http.MethodPost, to, "lines", query, ndjson, answerLimit, discard)
}

// Event implements [logs.Peers].
func (p *Peers) Event(ctx context.Context, to core.LogSegment, text string) error {
	return p.call(ctx, http.MethodPost, to, "events", nil, []byte(text), answerLimit, discard)
}

// Index implements [logs.Peers].
func (p *Peers) Index(ctx context.Context, of core.LogSegment, known logs.IndexQuery, wait time.Duration) (answer logs.IndexAnswer, err error) {
	query := url.Values{
		"version": {strconv.FormatUint(known.Version, 10)}, "lines": {strconv.FormatInt(known.Lines, 10)},
		"blocks": {strconv.Itoa(known.Blocks)}, "steps": {strconv.Itoa(known.Steps)}, "wait_secs": {strconv.Itoa(int(wait.Seconds()))},
	}
	err = p.call(ctx, http.MethodGet, of, "index", query, nil, answerLimit+wait, func(body io.Reader) error {
		return json.NewDecoder(io.LimitReader(body, mostAnswer)).Decode(&answer)
	})
	return answer, err
}

// ReadAt implements [logs.Peers].
func (p *Peers) ReadAt(ctx context.Context, of core.LogSegment, version uint64, b []byte, at int64) error {
	query := url.Values{"version": {strconv.FormatUint(version, 10)}, "offset": {strconv.FormatInt(at, 10)}, "length": {strconv.Itoa(len(b))}}
	return p.call(ctx, http.MethodGet, of, "bytes", query, nil, answerLimit, func(body io.Reader) error {
		_, err := io.ReadFull(body, b)
		return err
	})
}

// Next implements [logs.Peers].
func (p *Peers) Next(ctx context.Context, of core.LogSegment, step string, attempt int) (next int64, err error) {
	query := url.Values{"step": {step}, "attempt": {strconv.Itoa(attempt)}}
	err = p.call(ctx, http.MethodGet, of, "next", query, nil, answerLimit, func(body io.Reader) error {
		return json.NewDecoder(io.LimitReader(body, mostAnswer)).Decode(&next)
	})
	return next, err
}

func discard(body io.Reader) error {
	_, err := io.Copy(io.Discard, io.LimitReader(body, mostAnswer))
	return err
}

// call asks the replica that keeps a segment. Whatever keeps it from an answer is an error with core.CodeUnavailable.
func (p *Peers) call(ctx context.Context, method string, of core.LogSegment, what string, query url.Values, body []byte, limit time.Duration, take func(io.Reader) error) error {
	if !p.enter(of.Replica) {
		return away(of, errors.New("it did not answer a moment ago"))
	}
	asked, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	path := fmt.Sprintf("/internal/logs/%s/%d/%s", of.Job, of.N, what)
	if query != nil {
		path += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(asked, method, strings.TrimRight(of.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return away(of, err)
	}
	p.key.sign(request, path, of.Replica, body)
	response, err := p.client.Do(request)
	p.note(of.Replica, err == nil || ctx.Err() != nil)
	if err != nil {
		return away(of, err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	if response.StatusCode != http.StatusOK {
		return refused(of, response)
	}
	if err := take(response.Body); err != nil {
		return away(of, err)
	}
	return nil
}

// enter tells whether to ask a replica. Of those who come when one that was down may be asked again, one does, and the others know
// soon.
func (p *Peers) enter(id uuid.UUID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, down := p.down[id]
	if !down {
		return true
	}
	now := time.Now()
	if now.Before(until) {
		return false
	}
	p.down[id] = now.Add(answerLimit)
	return true
}

// note says whether a replica has answered, or who asked did not want to know any more.
func (p *Peers) note(id uuid.UUID, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		delete(p.down, id)
	} else {
		p.down[id] = time.Now().Add(downPause)
	}
}

// refused is what another replica says against a request.
func refused(of core.LogSegment, response *http.Response) error {
	var told api.Error
	if err := json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(&told); err != nil {
		return away(of, fmt.Errorf("it answers with status %d", response.StatusCode))
	}
	err := &core.Error{Reason: told.Code, Message: told.Error}
	switch {
	case told.Code == logs.ReasonMoved:
		err.Code = core.CodeConflict
	case response.StatusCode == http.StatusBadRequest:
		err.Code = core.CodeInvalid
	case response.StatusCode == http.StatusNotFound && told.Code == string(core.CodeNotFound) && strings.HasPrefix(told.Error, "Job"):
		err.Code = core.CodeNotFound
	case response.StatusCode == http.StatusServiceUnavailable:
		err.Code = core.CodeUnavailable
	default:
		return away(of, errors.New(told.Error))
	}
	return err
}

func away(of core.LogSegment, why error) error {
	return &core.Error{
		Code: core.CodeUnavailable, Reason: "replica_unavailable",
		Message: fmt.Sprintf("The log is kept by replica %s, which does not answer: try again in a moment", of.Replica), Err: why,
	}
}
