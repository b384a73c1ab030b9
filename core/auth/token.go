package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Lifetimes of tokens.
const (
	AccessLife  = 15 * time.Minute
	RefreshLife = 30 * 24 * time.Hour
)

// clockLeeway is how much the clocks of replicas may differ.
const clockLeeway = time.Minute

const (
	issuer   = "stroem"
	audience = "stroem-api"
)

// claims are those of an access token.
type claims struct {
	jwt.RegisteredClaims

	Email string `json:"email"`
	Epoch int    `json:"epoch"` // of the user's sessions
}

// tokens makes and reads access tokens.
type tokens struct {
	key    []byte
	parser *jwt.Parser
	now    func() time.Time
	known  *verified
}

func newTokens(key []byte, now func() time.Time) tokens {
	return tokens{key: key, now: now, known: &verified{}, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockLeeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now),
	)}
}

func (t tokens) issue(u core.User) (string, error) {
	now := t.now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: u.ID.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(AccessLife)),
		},
		Email: u.Email, Epoch: u.Epoch,
	}).SignedString(t.key)
}

// read returns whom a token is for.
func (t tokens) read(text string) (subject, error) {
	hash := sha256.Sum256([]byte(text))
	if s, ok := t.known.get(hash, t.now()); ok {
		return s, nil
	}
	var c claims
	if _, err := t.parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.key, nil }); err != nil {
		return subject{}, err
	}
	user, err := uuid.Parse(c.Subject)
	if err != nil {
		return subject{}, err
	}
	s := subject{user: user, epoch: c.Epoch, until: c.ExpiresAt.Add(clockLeeway)}
	t.known.put(hash, s)
	return s, nil
}

// hashToken is what is stored of refresh tokens and API keys, which are random, so that a plain hash suffices.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// newRefreshToken has 260 random bits.
func newRefreshToken() string { return rand.Text() + rand.Text() }

// newTicket has 130 random bits.
func newTicket() string { return rand.Text() }

// Forms of API keys.
const (
	keyPrefix   = "strm_"
	keyRandom   = 16 // bytes
	shownPrefix = 12 // characters of a key that tell it from others
)

func newAPIKey() string {
	random := make([]byte, keyRandom)
	_, _ = rand.Read(random) // never fails
	return keyPrefix + hex.EncodeToString(random)
}
