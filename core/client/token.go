package client

import "context"

// TokenSource has the token that calls are made with. It is used concurrently.
type TokenSource interface {
	// Token returns the token to send, "" for none. It may take a call to the server; its error is that of the call that it was for.
	Token(ctx context.Context) (string, error)
	// Renew is told that the server does not take a token any more, and returns one that it takes, with which the call is repeated once;
	// "" if there is none, and the server's answer stands.
	Renew(ctx context.Context, refused string) (string, error)
}

// The server's words for tokens that can be made good again, which API keys are not told.
const (
	codeTokenInvalid = "token_invalid"        // an access token that is over
	codeTokenChanged = "worker_token_changed" // a worker has to register again, as the one that it is
)

// fixed is a token that does not change.
type fixed string

func (t fixed) Token(context.Context) (string, error) { return string(t), nil }

func (t fixed) Renew(context.Context, string) (string, error) { return "", nil }
