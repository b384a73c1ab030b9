package api

import "time"

// Login asks for a session.
type Login struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	// Cookie has the refresh token set as a cookie that pages cannot read, in place of being in the answer.
	Cookie bool `json:"cookie,omitempty"`
}

// Refresh spends a refresh token: the one in the body, or else that of the cookie.
type Refresh struct {
	RefreshToken string `json:"refresh_token,omitempty"`
}

// Tokens are what somebody who signed in goes on with.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"` // absent if it is in a cookie
	ExpiresIn    int    `json:"expires_in"`              // seconds for which the access token is good
}

// TicketRequest asks for a ticket for the log stream of a job.
type TicketRequest struct {
	JobID string `json:"job_id"`
}

// Ticket opens the log stream of one job, once: as ?ticket=.
type Ticket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// Me is the user whose token it is.
type Me struct {
	UserID    string    `json:"user_id"`
	Name      *string   `json:"name"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// User is somebody who signs in.
type User struct {
	UserID      string     `json:"user_id"`
	Name        *string    `json:"name"`
	Email       string     `json:"email"`
	Role        string     `json:"role"` // viewer, operator, admin
	Groups      []string   `json:"groups"`
	AuthMethods []string   `json:"auth_methods"` // password, and the ids of providers
	Disabled    bool       `json:"disabled"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at"`
}

// NewUser creates a user. Without a password they sign in with a provider alone.
type NewUser struct {
	Email    string `json:"email"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password,omitempty"`
	Role     string `json:"role,omitempty"` // default: operator
}

// UserChange changes a user; what is absent stays.
type UserChange struct {
	Name     *string `json:"name,omitempty"`
	Role     *string `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
	Password *string `json:"password,omitempty"`
}

// PasswordChange is of one's own password.
type PasswordChange struct {
	CurrentPassword string `json:"current_password"`
	NewPassword     string `json:"new_password"`
}

// NewAPIKey asks for a key.
type NewAPIKey struct {
	Name          string `json:"name"`
	ExpiresInDays *int   `json:"expires_in_days,omitempty"` // absent: it does not expire
}

// CreatedAPIKey is the only answer that ever holds the key.
type CreatedAPIKey struct {
	Key       string     `json:"key"`
	Name      string     `json:"name"`
	Prefix    string     `json:"prefix"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// UserAPIKey is a key without its text.
type UserAPIKey struct {
	Prefix     string     `json:"prefix"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}
