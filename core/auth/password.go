package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/stroem/stroem/core"
)

// Costs of argon2id as OWASP's Password Storage Cheat Sheet recommends them.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	saltBytes   = 16
	hashBytes   = 32
)

// Lengths of a password: NIST SP 800-63B wants at least 8 characters, and no rules about which.
const (
	minPassword = 8
	maxPassword = 1024 // bytes
)

// hashing bounds how many passwords are hashed at once: each takes 19 MiB and a core.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))

func hash(ctx context.Context, password string, salt []byte, memory, time uint32, threads uint8) ([]byte, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
		return argon2.IDKey([]byte(password), salt, time, memory, threads, hashBytes), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func checkPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return core.Errorf(core.CodeInvalid, "password_too_short", "The password has to have at least %d characters", minPassword)
	case len(password) > maxPassword:
		return core.Errorf(core.CodeInvalid, "password_too_long", "The password may have at most %d bytes", maxPassword)
	}
	return nil
}

// NewPassword returns what is stored of a password, in the PHC string format, for core.UserChange. A password that nobody should
// have is an error with core.CodeInvalid.
func NewPassword(ctx context.Context, password string) (*string, error) {
	if err := checkPassword(password); err != nil {
		return nil, err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	sum, err := hash(ctx, password, salt, hashMemory, hashTime, hashThreads)
	if err != nil {
		return nil, err
	}
	stored := encodeHash(salt, sum)
	return &stored, nil
}

func encodeHash(salt, sum []byte) string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads, encode(salt), encode(sum))
}

// nobodysHash takes as long to check as anybody's, and fits no password.
var nobodysHash = encodeHash(make([]byte, saltBytes), make([]byte, hashBytes))

// verifyPassword tells whether a password is the one that was hashed. For "" it takes as long, and it is not.
func verifyPassword(ctx context.Context, stored, password string) (bool, error) {
	known := stored != ""
	if !known {
		stored = nobodysHash
	}
	var version int
	var memory, time uint32
	var threads uint8
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("a stored password hash has an unknown format")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &threads); err != nil || version != argon2.Version {
		return false, fmt.Errorf("a stored password hash has unknown parameters: %s %s", parts[2], parts[3])
	}
	salt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	want, errSum := base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errSum != nil {
		return false, fmt.Errorf("a stored password hash is not base64")
	}
	if len(password) > maxPassword { // nobody has one, and hashing it costs
		password, known = "", false
	}
	got, err := hash(ctx, password, salt, memory, time, threads)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}
