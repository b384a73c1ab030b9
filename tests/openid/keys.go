package openid

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// RotateKey makes a new key that signs from now on. The old ones stay published until they are withdrawn.
func (p *Provider) RotateKey(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	made, err := pair(p.rotations)
	require.NoError(t, err)
	p.rotations++
	p.keys = append(p.keys, key{id: uuid.NewString(), pair: made})
}

var (
	pairsMu sync.Mutex
	pairs   = map[int]*rsa.PrivateKey{}
)

// stranger is the pair that no provider publishes.
const stranger = -1

// pair returns the nth key pair. All providers of a process have the same ones: with the race detector each takes half a second.
func pair(n int) (*rsa.PrivateKey, error) {
	pairsMu.Lock()
	defer pairsMu.Unlock()
	if pairs[n] == nil {
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make a key pair: %w", err)
		}
		pairs[n] = made
	}
	return pairs[n], nil
}

// WithdrawOldKeys publishes none but the key that signs.
func (p *Provider) WithdrawOldKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = p.keys[len(p.keys)-1:]
}

// Token is an ID token as the provider would have sent it.
type Token struct {
	Raw    string
	Claims map[string]any
	keys   []key
}

// PublicKey is that of the key that signs.
func (t Token) PublicKey() *rsa.PublicKey {
	return &t.keys[len(t.keys)-1].pair.PublicKey
}

// KeyID is that of the key that signs.
func (t Token) KeyID() string { return t.keys[len(t.keys)-1].id }

// With returns the token with other claims, properly signed; nil removes one.
func (t Token) With(claims map[string]any) string { return t.sign(t.keys[len(t.keys)-1], claims) }

// SignedByOldest returns the token signed by the oldest key that is published.
func (t Token) SignedByOldest() string { return t.sign(t.keys[0], nil) }

// OldestKey returns what signs with the oldest key that is published now, whatever becomes of it.
func (p *Provider) OldestKey() func(Token) string {
	_, keys := p.now()
	return func(t Token) string { return t.sign(keys[0], nil) }
}

// SignedByStranger returns the token signed by a key that was never published, under the id of one that is or another one.
func (t Token) SignedByStranger(id string) string {
	made, err := pair(stranger)
	if err != nil {
		return err.Error()
	}
	return t.sign(key{id: id, pair: made}, nil)
}

func (t Token) sign(k key, changes map[string]any) string {
	claims := maps.Clone(t.Claims)
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		return err.Error()
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k.pair, KeyID: k.id}}, nil)
	if err != nil {
		return err.Error()
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return err.Error()
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		return err.Error()
	}
	return raw
}

// forge replaces the ID token in the answer of the token endpoint.
func (p *Provider) forge(answer map[string]any, lie func(Token) string) {
	raw, ok := answer["id_token"].(string)
	if !ok {
		return // an error
	}
	_, keys := p.now()
	honest := Token{Raw: raw, keys: keys}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	_ = json.Unmarshal(payload, &honest.Claims) // what the library has made
	delete(answer, "id_token")
	if forged := lie(honest); forged != "" {
		answer["id_token"] = forged
	}
}

// rewrite answers as next does, with a change of the JSON object.
func rewrite(w http.ResponseWriter, r *http.Request, next http.Handler, change func(map[string]any)) {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	var document map[string]any
	if json.Unmarshal(body, &document) == nil {
		change(document)
		body, _ = json.Marshal(document) // it came from JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(body)
}
