package oidc

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Lifetime is how long a browser may take between [SignIn.Begin] and [SignIn.Finish], and for how long it has to keep the cookie.
const Lifetime = 10 * time.Minute

const (
	cookieIssuer   = "stroem"
	cookieAudience = "stroem/oidc"
	maxCookie      = 4096 // what browsers keep
)

// attempt is what has to come back.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"pkce_verifier"`
	Provider string `json:"provider"`
}

type cookieClaims struct {
	attempt
	jwt.RegisteredClaims
}

// cookies makes and reads cookies.
type cookies struct {
	key []byte
	now func() time.Time
}

func (c cookies) make(a attempt) (string, error) {
	now := c.now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, cookieClaims{a, jwt.RegisteredClaims{
		Issuer: cookieIssuer, Audience: jwt.ClaimStrings{cookieAudience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime)),
	}}).SignedString(c.key)
}

// read returns what a cookie that we have made says. One that is too old is [jwt.ErrTokenExpired].
func (c cookies) read(cookie string) (attempt, error) {
	if len(cookie) > maxCookie {
		return attempt{}, fmt.Errorf("it has %d bytes", len(cookie))
	}
	if strings.ContainsAny(cookie, "\r\n") {
		return attempt{}, errors.New("it has lines") // which the decoder would pass over
	}
	var claims cookieClaims
	_, err := jwt.ParseWithClaims(cookie, &claims, func(*jwt.Token) (any, error) { return c.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(cookieIssuer), jwt.WithAudience(cookieAudience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(c.now))
	if err != nil {
		return attempt{}, err
	}
	if claims.State == "" || claims.Nonce == "" || claims.Verifier == "" || claims.Provider == "" {
		return attempt{}, errors.New("it lacks a value")
	}
	return claims.attempt, nil
}

// spent remembers the states that have come back, for as long as their cookies are good.
type spent struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]bool
	order []spentState // oldest first
}

type spentState struct {
	state string
	until time.Time
}

// maxSpent bounds what is remembered. Whoever floods it to use a cookie twice is still left with a code that is good once.
const maxSpent = 10_000

// take tells whether the state comes for the first time.
func (s *spent) take(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	old := 0
	for old < len(s.order) && (len(s.order)-old >= maxSpent || !s.order[old].until.After(now)) {
		delete(s.known, s.order[old].state)
		old++
	}
	s.order = s.order[old:]
	if s.known[state] {
		return false
	}
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[state] = true
	s.order = append(s.order, spentState{state, now.Add(Lifetime)})
	return true
}

// random returns 32 random bytes as text.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // which never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
