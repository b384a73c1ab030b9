// Package auth knows who a request comes from: it checks passwords, keeps sessions, hands out and verifies access tokens and
// API keys. What somebody may do is not decided here, and how they sign in with a provider neither.
package auth
