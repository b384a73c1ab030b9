package auth_test

import (
	"context"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
)

// emptyStore has nobody; no other method may be called.
type emptyStore struct{ auth.Store }

func (emptyStore) User(context.Context, uuid.UUID) (core.User, error) {
	return core.User{}, core.Errorf(core.CodeNotFound, "", "User not found")
}

func (emptyStore) APIKey(context.Context, []byte) (core.APIKey, core.User, error) {
	return core.APIKey{}, core.User{}, core.Errorf(core.CodeNotFound, "", "API key not found")
}
