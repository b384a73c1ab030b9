package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

const (
	// early is how long before its end an access token is replaced.
	early = 30 * time.Second
	// grace is how long the answer with the next tokens is waited for by a process that is to end: without it the session is lost.
	grace = 3 * time.Second
)

// EndedError is that nobody is signed in at a server any more.
type EndedError struct {
	Server string
	Err    error // the server's reason; nil: the session is not stored any more
}

func (e *EndedError) Error() string {
	if e.Err == nil {
		return "you are not signed in at " + e.Server + " any more"
	}
	if answer, ok := errors.AsType[*client.Error](e.Err); ok {
		return "your session at " + e.Server + " has ended: " + answer.Message
	}
	return "your session at " + e.Server + " has ended: " + e.Err.Error()
}

func (e *EndedError) Unwrap() error { return e.Err }

// NewSession is what is stored of a server's answer.
func NewSession(email string, tokens api.Tokens) Session {
	return Session{
		Email: email, RefreshToken: tokens.RefreshToken, AccessToken: tokens.AccessToken,
		ExpiresAt: time.Now().Add(time.Duration(tokens.ExpiresIn) * time.Second).Round(0),
	}
}

// Source is the access token of a stored session, and the next one when that is over. It satisfies [client.TokenSource].
type Source struct {
	store  *Store
	server string
	client *client.Client

	mu    sync.Mutex
	known Session // as it was last read or written
}

// Source returns the tokens of the session at a server, by its address, that is stored; c asks that server for the next ones and
// has no token of its own.
func (s *Store) Source(server string, c *client.Client) *Source {
	return &Source{store: s, server: server, client: c}
}

// Token returns an access token that is good for a while. That there is no session is an [EndedError].
func (s *Source) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known.AccessToken == "" {
		session, ok, err := s.store.Session(s.server)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", &EndedError{Server: s.server}
		}
		s.known = session
	}
	if s.known.good() {
		return s.known.AccessToken, nil
	}
	return s.next(ctx, s.known.AccessToken)
}

// Renew returns the token after one that the server has refused.
func (s *Source) Renew(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next(ctx, refused)
}

func (s Session) good() bool { return time.Until(s.ExpiresAt) > early }

// next replaces an access token: by the one that another process has got meanwhile, or by that of the next pair. The caller holds
// the mutex.
func (s *Source) next(ctx context.Context, old string) (string, error) {
	err := s.store.change(ctx, func(sessions map[string]Session) (write bool, err error) {
		session, ok := sessions[s.server]
		if !ok {
			return false, &EndedError{Server: s.server}
		}
		if session.AccessToken != old && session.good() {
			s.known = session
			return false, nil
		}
		tokens, err := s.spend(ctx, session.RefreshToken)
		answer, _ := errors.AsType[*client.Error](err)
		switch {
		case answer != nil && answer.Status == http.StatusUnauthorized:
			s.known = Session{}
			delete(sessions, s.server)
			return true, &EndedError{s.server, err}
		case answer != nil && answer.Code == "auth_not_configured": // it has no users any more, and asks for no token
			s.known = Session{}
			return false, nil
		case err != nil:
			return false, fmt.Errorf("go on with the session at %s: %w", s.server, err)
		}
		s.known = NewSession(session.Email, tokens)
		sessions[s.server] = s.known
		return true, nil
	})
	if err != nil {
		return "", err
	}
	return s.known.AccessToken, nil
}

// spend spends a refresh token. A process that is told to end waits for the answer a little longer.
func (s *Source) spend(ctx context.Context, refresh string) (api.Tokens, error) {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-ctx.Done():
		case <-asking.Done():
			return
		}
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-asking.Done():
		}
	})
	tokens, err := s.client.ContinueSession(asking, refresh)
	cancel()
	watching.Wait()
	return tokens, err
}
