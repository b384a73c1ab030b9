package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/google/uuid"
)

// verified remembers access tokens whose signature and claims were found good, by their hash: to verify one costs more than all
// else of a small request. Whose it is, and whether their session goes on, is looked at each time.
type verified struct {
	mu     sync.Mutex
	tokens map[[sha256.Size]byte]subject
}

// subject is whom a token is for.
type subject struct {
	user  uuid.UUID
	epoch int
	until time.Time // when the token is over, the leeway included
}

func (v *verified) get(hash [sha256.Size]byte, now time.Time) (subject, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.tokens[hash]
	return s, ok && now.Before(s.until)
}

func (v *verified) put(hash [sha256.Size]byte, s subject) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens == nil || len(v.tokens) >= cacheSize {
		v.tokens = map[[sha256.Size]byte]subject{}
	}
	v.tokens[hash] = s
}
