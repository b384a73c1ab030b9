package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	text, k, err := r.CreateKey(t.Context(), r.ada.ID, " deploy ", 2)
	require.NoError(t, err)
	require.Regexp(t, `^strm_[0-9a-f]{32}$`, text)
	require.Equal(t, text[:12], k.Prefix)
	require.Equal(t, "deploy", k.Name)
	r.requireIn(r.Authenticator, text)
	r.requireIn(r.other, text)
	who, err := r.Authenticate(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, k.Prefix, who.APIKey)
	last := text[len(text)-1]
	other := byte('0')
	if last == other {
		other = '1'
	}
	r.requireOut(r.Authenticator, text[:len(text)-1]+string(other), "api_key_invalid")
	r.requireOut(r.Authenticator, text+" ", "api_key_invalid")
	r.requireOut(r.Authenticator, k.Prefix, "api_key_invalid")

	r.clock.pass(48 * time.Hour)
	r.requireOut(r.Authenticator, text, "api_key_expired")
	r.clock.pass(-48 * time.Hour)
	require.NoError(t, r.DeleteKeys(t.Context(), r.ada.ID, k.Prefix))
	r.requireOut(r.Authenticator, text, "api_key_invalid")
	r.clock.pass(5 * time.Second)
	r.requireOut(r.other, text, "api_key_invalid")
	require.Equal(t, core.CodeNotFound, core.ErrorCode(r.DeleteKeys(t.Context(), r.ada.ID, k.Prefix)))
}

func TestAPIKeysOfOthers(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	_, k, err := r.CreateKey(t.Context(), r.ada.ID, "one", 0)
	require.NoError(t, err)
	require.Zero(t, k.ExpiresAt)
	require.True(t, r.initial("root@example.org", "the first one"))
	root, err := r.store.UserByEmail(t.Context(), "root@example.org")
	require.NoError(t, err)
	require.Equal(t, core.CodeNotFound, core.ErrorCode(r.DeleteKeys(t.Context(), root.ID, k.Prefix)))
	keys, err := r.Keys(t.Context(), root.ID)
	require.NoError(t, err)
	require.Empty(t, keys)
	keys, err = r.Keys(t.Context(), r.ada.ID)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	for _, days := range []int{36_501, 1 << 60} {
		_, _, err = r.CreateKey(t.Context(), r.ada.ID, "x", days)
		require.Equal(t, core.CodeInvalid, core.ErrorCode(err))
	}
	_, _, err = r.CreateKey(t.Context(), r.ada.ID, " \t", 0)
	require.EqualError(t, err, "Name is required")
}

func TestAKeyOfSomebodyDisabled(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	text, _, err := r.CreateKey(t.Context(), r.ada.ID, "one", 0)
	require.NoError(t, err)
	r.requireIn(r.Authenticator, text)
	disabled, enabled := true, false
	_, err = r.Change(t.Context(), r.ada.ID, core.UserChange{Disabled: &disabled})
	require.NoError(t, err)
	r.requireOut(r.Authenticator, text, "user_disabled")
	_, err = r.Change(t.Context(), r.ada.ID, core.UserChange{Disabled: &enabled})
	require.NoError(t, err)
	r.requireIn(r.Authenticator, text)
}

// The use of a key is noted when the server stops, at the latest.
func TestLastUsed(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	text, _, err := r.CreateKey(t.Context(), r.ada.ID, "one", 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		r.Run(ctx)
	}()
	for range 3 {
		r.requireIn(r.Authenticator, text)
	}
	keys, err := r.Keys(t.Context(), r.ada.ID)
	require.NoError(t, err)
	require.Zero(t, keys[0].LastUsedAt, "not with each request")
	cancel()
	<-ran
	keys, err = r.Keys(t.Context(), r.ada.ID)
	require.NoError(t, err)
	require.WithinDuration(t, r.clock.Now(), keys[0].LastUsedAt, time.Second)
}
