package core

import (
	"time"

	"github.com/google/uuid"
)

// Role is what a user may do. Each may do all that the one before it may.
type Role string

// Roles.
const (
	RoleViewer   Role = "viewer"   // sees
	RoleOperator Role = "operator" // runs and cancels
	RoleAdmin    Role = "admin"    // manages users and workers; no access rule binds them
)

var powers = map[Role]int{RoleViewer: 1, RoleOperator: 2, RoleAdmin: 3}

// Covers tells whether whoever has the role may do what another role may. An unknown role covers nothing and is covered by
// nothing.
func (r Role) Covers(other Role) bool { return powers[other] > 0 && powers[r] >= powers[other] }

// ReasonLastAdmin is why the last admin who can sign in cannot be taken away.
const ReasonLastAdmin = "last_admin"

// User is somebody who signs in.
type User struct {
	ID           uuid.UUID
	Email        string // as it was first given; compared by [FoldEmail]
	Name         string
	Role         Role
	Groups       []string // as the provider named them at the last sign-in
	PasswordHash string   // of argon2id; "" for one who signs in with a provider alone
	Providers    []string // that the user has signed in with
	Disabled     bool
	Epoch        int // of the user's sessions: access tokens of an earlier one are refused
	CreatedAt    time.Time
	LastLoginAt  time.Time // zero: never
}

// FoldEmail returns what addresses are compared by: A to Z are as a to z. Other letters are themselves, so that the database, whatever
// its language, and all else agree on who is who.
func FoldEmail(email string) string {
	folded := []byte(email)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return string(folded)
}

// APIKey is a user's key for a program. Its text is known to nobody but the user.
type APIKey struct {
	Prefix     string // the first characters of its text
	Name       string
	User       uuid.UUID
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // to the minute; zero: never
}

// UserChange changes a user; what is nil stays.
type UserChange struct {
	Name         *string
	Role         *Role
	Groups       *[]string
	PasswordHash *string
	Disabled     *bool
}

// Apply returns the user as they are after the change. Their sessions end with it, which is a new epoch, if their password
// changes, or their role, or they are disabled.
func (c UserChange) Apply(u User) User {
	before := u
	set(&u.Name, c.Name)
	set(&u.Role, c.Role)
	set(&u.Groups, c.Groups)
	set(&u.PasswordHash, c.PasswordHash)
	set(&u.Disabled, c.Disabled)
	if c.PasswordHash != nil || u.Role != before.Role || u.Disabled && !before.Disabled {
		u.Epoch++
	}
	return u
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
