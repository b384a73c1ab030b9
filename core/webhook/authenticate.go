package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
)

// Why a caller is not believed. The caller learns no more than that it is not.
var (
	errNoCredential = errors.New("no secret and no signature")
	errQuery        = errors.New("wrong secret in the query")
	errBearer       = errors.New("wrong bearer token")
	errSignature    = errors.New("wrong signature")
)

const signatureHeader = "x-hub-signature-256"

// authenticate checks that the caller knows the secret: in the query, as a bearer token, or by a signature of the body. One of
// them is needed, and each that is there has to be right.
func (r *Request) authenticate(secret string) error {
	known := 0
	for _, given := range r.Query[SecretParameter] {
		if known++; !same(given, secret) {
			return errQuery
		}
	}
	for _, given := range r.Headers["authorization"] {
		scheme, token, _ := strings.Cut(given, " ")
		if !strings.EqualFold(scheme, "bearer") {
			continue // meant for a proxy in between, perhaps
		}
		if known++; !same(strings.TrimSpace(token), secret) {
			return errBearer
		}
	}
	for _, given := range r.Headers[signatureHeader] {
		if known++; !r.signed(given, secret) {
			return errSignature
		}
	}
	if known == 0 {
		return errNoCredential
	}
	return nil
}

// same compares in a time that tells nothing of the secret, not even its length.
func same(given, secret string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// signed tells whether a signature, sha256=<hex>, is that of the body.
func (r *Request) signed(signature, secret string) bool {
	digits, found := strings.CutPrefix(signature, "sha256=")
	given, err := hex.DecodeString(digits)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(r.Body) // never fails
	return hmac.Equal(given, mac.Sum(nil)) && found && err == nil
}
