// Package openid is an OpenID provider for tests, on a listener of its own: discovery, a page to sign in on, codes, tokens, keys.
// What the library does is done by a real provider; tests can take it away for a while, change its keys, and have it lie.
package openid

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The client that every provider knows.
const (
	ClientID     = "stroem"
	ClientSecret = "a client's secret of 32 bytes ok"
)

// User is somebody who can sign in.
type User struct {
	Subject  string
	Password string
	Claims   map[string]any // email, email_verified, name, groups, …; in the ID token and in user info
}

// Lies is what a provider does that it should not. The zero value is honest.
type Lies struct {
	Down bool // connections are closed without an answer

	// IDToken replaces the ID token by another one; "" leaves it out.
	IDToken func(honest Token) string
	// UserInfo changes what the user info says.
	UserInfo func(claims map[string]any)
	// Discovery changes what discovery says.
	Discovery func(document map[string]any)
	// Thin leaves everything about the user but the subject out of ID tokens.
	Thin bool
}

// Provider is a provider that runs until the test ends. Its methods may be called concurrently.
type Provider struct {
	Issuer string

	provider *op.Provider
	login    http.Handler

	mu          sync.Mutex
	lies        Lies
	users       map[string]User // by name
	redirects   []string
	keys        []key // the last one signs
	rotations   int
	requests    map[string]*request
	codes       map[string]string // code to request
	tokens      map[string]accessToken
	discoveries int
	seen        chan struct{} // closed at the next request for discovery
	methods     []string
}

// Start runs a provider to which browsers come back at redirects.
func Start(t testing.TB, redirects ...string) *Provider {
	t.Helper()
	p := &Provider{
		users: map[string]User{}, redirects: redirects, seen: make(chan struct{}),
		requests: map[string]*request{}, codes: map[string]string{}, tokens: map[string]accessToken{},
	}
	p.RotateKey(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.Issuer = "http://" + listener.Addr().String()
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true}
	_, err = rand.Read(config.CryptoKey[:])
	require.NoError(t, err)
	p.provider, err = op.NewProvider(config, storage{p}, op.StaticIssuer(p.Issuer), op.WithAllowInsecure())
	require.NoError(t, err)
	p.login = op.NewIssuerInterceptor(p.provider.IssuerFromRequest).HandlerFunc(p.signIn)

	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: p, ReadHeaderTimeout: readHeaderTimeout}}
	server.Start()
	t.Cleanup(server.Close)
	return p
}

// AddRedirect allows another address to come back to.
func (p *Provider) AddRedirect(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.redirects = append(slices.Clone(p.redirects), address)
}

// SetUser adds or changes the user of that name.
func (p *Provider) SetUser(name string, user User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[name] = user
}

// Lie makes the provider lie from now on.
func (p *Provider) Lie(lies Lies) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lies = lies
}

// Discoveries returns how often it was asked what it is, and a channel that is closed at the next time.
func (p *Provider) Discoveries() (int, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.discoveries, p.seen
}

// Authentications returns how clients have shown their secret, for each code: client_secret_basic or client_secret_post.
func (p *Provider) Authentications() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.methods)
}

func (p *Provider) note(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/.well-known/"):
		p.discoveries++
		close(p.seen)
		p.seen = make(chan struct{})
	case r.URL.Path == "/oauth/token":
		method := "client_secret_post"
		if _, _, ok := r.BasicAuth(); ok {
			method = "client_secret_basic"
		}
		p.methods = append(p.methods, method)
	}
}

func (p *Provider) now() (Lies, []key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lies, slices.Clone(p.keys)
}

// ServeHTTP is the provider as the network sees it.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lies, _ := p.now()
	p.note(r)
	discovery := strings.HasPrefix(r.URL.Path, "/.well-known/")
	switch {
	case lies.Down:
		panic(http.ErrAbortHandler) //nolint:forbidigo // closes the connection
	case r.URL.Path == "/login":
		p.login.ServeHTTP(w, r)
	case discovery && lies.Discovery != nil:
		rewrite(w, r, p.provider, lies.Discovery)
	case r.URL.Path == "/oauth/token" && lies.IDToken != nil:
		rewrite(w, r, p.provider, func(answer map[string]any) { p.forge(answer, lies.IDToken) })
	case r.URL.Path == "/userinfo" && lies.UserInfo != nil:
		rewrite(w, r, p.provider, lies.UserInfo)
	default:
		p.provider.ServeHTTP(w, r)
	}
}

// key is a key pair that signs ID tokens.
type key struct {
	id   string
	pair *rsa.PrivateKey
}

// errUnknown is what the storage says of what it does not have.
var errUnknown = errors.New("unknown")

func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k key) Key() any                                    { return k.pair }
func (k key) ID() string                                  { return k.id }

var _ op.SigningKey = key{}

// callbackURL is where the page to sign in on sends a browser that has signed in.
func (p *Provider) callbackURL(ctx context.Context, id string) string {
	return op.AuthCallbackURL(p.provider)(ctx, id)
}
