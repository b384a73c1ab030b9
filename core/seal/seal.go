// Package seal encrypts what is secret before it is stored. A sealed value can be opened only with the key and at the
// place that it was sealed for, so that nobody can move it to another row or column.
//
// # Format
//
// One byte, the version (1); 8 bytes, the start of the key's id; 32 bytes, a random salt; 12 bytes, a nonce; then the
// AES-256-GCM cipher text with its tag. The cipher's key is derived from the key and the salt with HKDF-SHA256, so that
// there is no limit to how many values a key may seal.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	version  = 1
	idSize   = 8
	saltSize = 32
	header   = 1 + idSize + saltSize
)

// Key seals and opens values. It never changes and may be shared.
type Key struct {
	secret []byte
	id     [idSize]byte
	older  []*Key // open what was sealed before the key was changed
}

// NewKey returns the key made of KeySize bytes; what older keys have sealed can be opened with it, too.
func NewKey(secret []byte, older ...*Key) (*Key, error) {
	if len(secret) != KeySize {
		return nil, fmt.Errorf("a key has %d bytes, and this one %d", KeySize, len(secret))
	}
	k := &Key{secret: bytes.Clone(secret), older: older}
	id, err := hkdf.Expand(sha256.New, secret, "stroem key id", idSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key's id: %w", err)
	}
	copy(k.id[:], id)
	return k, nil
}

// ParseKey reads a key in base64.
func ParseKey(text string, older ...*Key) (*Key, error) {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("a key is 32 bytes in base64, as from: openssl rand -base64 32")
	}
	return NewKey(secret, older...)
}

// Generate makes a new key.
func Generate() *Key {
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails
	k, err := NewKey(secret)
	if err != nil {
		panic(err) //nolint:forbidigo // the length is right
	}
	return k
}

// encode writes the key in base64.
func (k *Key) encode() string { return base64.StdEncoding.EncodeToString(k.secret) }

// ID tells keys apart and says nothing about the key itself.
func (k *Key) ID() string { return hex.EncodeToString(k.id[:]) }

// OlderIDs are the ids of the older keys.
func (k *Key) OlderIDs() []string {
	ids := make([]string, len(k.older))
	for i, older := range k.older {
		ids[i] = older.ID()
	}
	return ids
}

// Seal encrypts a value for a place: a column, and what identifies the row.
func (k *Key) Seal(plain []byte, place ...string) ([]byte, error) {
	sealed := make([]byte, header, header+overhead+len(plain))
	sealed[0] = version
	copy(sealed[1:], k.id[:])
	_, _ = rand.Read(sealed[1+idSize:]) // never fails
	aead, err := k.aead(sealed[1+idSize:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(sealed, nil, plain, bind(sealed[:header], place)), nil //nolint:gosec // G407: it makes its nonce itself
}

// overhead is what the cipher adds: a nonce and a tag.
const overhead = 12 + 16

// Open decrypts what was sealed for a place.
func (k *Key) Open(sealed []byte, place ...string) ([]byte, error) {
	if len(sealed) < header || sealed[0] != version {
		return nil, errors.New("this is no sealed value of a known version")
	}
	by := k.find(sealed[1 : 1+idSize])
	if by == nil {
		return nil, fmt.Errorf("the value was sealed with the key %x, which this server does not have", sealed[1:1+idSize])
	}
	aead, err := by.aead(sealed[1+idSize : header])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed[header:], bind(sealed[:header], place))
	if err != nil {
		return nil, fmt.Errorf("the sealed value was changed, or belongs to another place: %w", err)
	}
	return plain, nil
}

func (k *Key) find(id []byte) *Key {
	all := append([]*Key{k}, k.older...)
	if i := slices.IndexFunc(all, func(one *Key) bool { return bytes.Equal(one.id[:], id) }); i >= 0 {
		return all[i]
	}
	return nil
}

func (k *Key) aead(salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.secret, salt, "stroem sealed value", KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("set up the cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("set up the cipher: %w", err)
	}
	return aead, nil
}

// bind makes the data that a sealed value is bound to; no two places give the same.
func bind(header []byte, place []string) []byte {
	data := bytes.Clone(header)
	for _, part := range place {
		data = fmt.Appendf(data, "%d:%s", len(part), part)
	}
	return data
}

// Derive makes keys for another purpose: one of this key, and then those of the older ones. They say nothing about these.
func (k *Key) Derive(purpose string) (keys [][]byte, err error) {
	for _, one := range append([]*Key{k}, k.older...) {
		derived, err := hkdf.Expand(sha256.New, one.secret, "stroem derived key: "+purpose, KeySize)
		if err != nil {
			return nil, fmt.Errorf("derive a key: %w", err)
		}
		keys = append(keys, derived)
	}
	return keys, nil
}
