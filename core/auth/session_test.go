package auth_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	pair := r.login()
	r.requireIn(r.other, pair.Access)
	u, err := r.store.User(t.Context(), r.ada.ID)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), u.LastLoginAt, time.Minute)
	_, err = r.Create(t.Context(), auth.NewUser{Email: "sso@example.org", Role: core.RoleViewer})
	require.NoError(t, err)
	for email, given := range map[string]string{
		"ada@example.org": "wrong horse", "nobody@example.org": password, "sso@example.org": "", "": "", "ada": password,
		"ADA@example.org": password + " ",
	} {
		_, err := r.Login(t.Context(), email, given)
		requireReason(t, err, "login_failed")
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	first, elsewhere := r.login(), r.login()
	second, err := r.Refresh(t.Context(), first.Refresh)
	require.NoError(t, err)
	r.requireIn(r.Authenticator, second.Access)
	third, err := r.other.Refresh(t.Context(), second.Refresh)
	require.NoError(t, err)

	_, err = r.Refresh(t.Context(), first.Refresh)
	require.Equal(t, core.ErrRefreshReused, err)
	_, err = r.Refresh(t.Context(), third.Refresh)
	require.Equal(t, core.ErrRefreshUnknown, err, "the whole family has ended")
	_, err = r.Refresh(t.Context(), first.Refresh)
	require.Equal(t, core.ErrRefreshUnknown, err)
	_, err = r.Refresh(t.Context(), elsewhere.Refresh)
	require.NoError(t, err, "another session goes on")
	_, err = r.Refresh(t.Context(), "nonsense")
	require.Equal(t, core.ErrRefreshUnknown, err)
}

func TestRefreshAtOnce(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	token := r.login().Refresh
	const calls = 8
	errs := make([]error, calls)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { _, errs[i] = r.Refresh(t.Context(), token) })
	}
	group.Wait()
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		}
	}
	require.Equal(t, 1, good, "a refresh token is good for one use: %v", errs)
}

func TestRefreshExpires(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	r.clock.pass(-31 * 24 * time.Hour)
	old := r.login()
	_, err := r.Refresh(t.Context(), old.Refresh)
	require.Equal(t, core.ErrRefreshExpired, err)
	r.clock.pass(31 * 24 * time.Hour)
	r.login() // which removes it
	_, err = r.Refresh(t.Context(), old.Refresh)
	require.Equal(t, core.ErrRefreshUnknown, err)
}

func TestLogout(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	pair := r.login()
	next, err := r.Refresh(t.Context(), pair.Refresh)
	require.NoError(t, err)
	whose, err := r.Logout(t.Context(), next.Refresh)
	require.NoError(t, err)
	require.Equal(t, r.ada.ID, whose)
	_, err = r.Refresh(t.Context(), next.Refresh)
	require.Equal(t, core.ErrRefreshUnknown, err)
	_, err = r.Logout(t.Context(), "nonsense")
	require.NoError(t, err)
}

// Whoever is signing in with the old password while it changes is not signed in.
func TestASignInThatAChangeOvertakes(t *testing.T) {
	t.Parallel()
	disabled, enabled := true, false
	for name, changes := range map[string][]core.UserChange{
		"password": {{PasswordHash: new("x")}}, "disabled": {{Disabled: &disabled}}, "enabled again": {{Disabled: &disabled}, {Disabled: &enabled}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplicas(t)
			seen, err := r.store.User(t.Context(), r.ada.ID) // whose password is then found to be right
			require.NoError(t, err)
			for _, change := range changes {
				_, err = r.other.Change(t.Context(), r.ada.ID, change)
				require.NoError(t, err)
			}
			_, err = r.Start(t.Context(), seen)
			require.Equal(t, core.CodeUnauthenticated, core.ErrorCode(err), "%v", err)
		})
	}
}

// What takes something away from a user ends all of their sessions: here at once, on other replicas within five seconds.
func TestWhatEndsSessions(t *testing.T) {
	t.Parallel()
	viewer, disabled := core.RoleViewer, true
	for name, change := range map[string]core.UserChange{"role": {Role: &viewer}, "disabled": {Disabled: &disabled}, "password": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplicas(t)
			pair := r.login()
			r.requireIn(r.Authenticator, pair.Access)
			r.requireIn(r.other, pair.Access)
			var err error
			if name == "password" {
				_, err = r.SetPassword(t.Context(), r.ada.ID, "another horse")
			} else {
				_, err = r.Change(t.Context(), r.ada.ID, change)
			}
			require.NoError(t, err)
			r.requireOut(r.Authenticator, pair.Access, "token_invalid")
			r.requireIn(r.other, pair.Access)
			r.clock.pass(5 * time.Second)
			r.requireOut(r.other, pair.Access, "token_invalid")
			_, err = r.Refresh(t.Context(), pair.Refresh)
			require.Equal(t, core.ErrRefreshUnknown, err)
			if name == "disabled" {
				_, err = r.Login(t.Context(), r.ada.Email, password)
				requireReason(t, err, "login_failed")
			}
		})
	}
}

func TestWhatKeepsSessions(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	pair := r.login()
	name, groups := "Augusta", []string{"dev"}
	_, err := r.Change(t.Context(), r.ada.ID, core.UserChange{Name: &name, Groups: &groups})
	require.NoError(t, err)
	who, err := r.Authenticate(t.Context(), pair.Access)
	require.NoError(t, err)
	require.Equal(t, name, who.User.Name)
	require.Equal(t, groups, who.User.Groups)
}

func TestTheLastAdminStays(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	require.True(t, r.initial("root@example.org", "the first one"))
	require.False(t, r.initial("ROOT@example.org", "and not again"))
	pair, err := r.Login(t.Context(), "root@example.org", "the first one")
	require.NoError(t, err)
	require.Equal(t, core.RoleAdmin, pair.User.Role)
	viewer, admin, disabled := core.RoleViewer, core.RoleAdmin, true
	for _, change := range []core.UserChange{{Role: &viewer}, {Disabled: &disabled}} {
		_, err = r.Change(t.Context(), pair.User.ID, change)
		requireReason(t, err, "last_admin")
	}
	_, err = r.Change(t.Context(), r.ada.ID, core.UserChange{Role: &admin})
	require.NoError(t, err)
	var group sync.WaitGroup
	errs := make([]error, 2)
	group.Go(func() { _, errs[0] = r.Change(t.Context(), pair.User.ID, core.UserChange{Role: &viewer}) })
	group.Go(func() { _, errs[1] = r.Change(t.Context(), r.ada.ID, core.UserChange{Disabled: &disabled}) })
	group.Wait()
	require.NotEqual(t, errs[0] == nil, errs[1] == nil, "two admins cannot take each other away: %v", errs)
}

func TestBadUsers(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	long := make([]byte, 1025)
	for i := range long {
		long[i] = 'x'
	}
	for reason, u := range map[string]auth.NewUser{
		"email_taken":        {Email: "ada@EXAMPLE.ORG"},
		"email_invalid":      {Email: "Ada <ada@example.com>"},
		"name_invalid":       {Email: "a@example.com", Name: "a\nb"},
		"password_too_short": {Email: "a@example.com", Password: "1234567"},
		"password_too_long":  {Email: "a@example.com", Password: string(long)},
	} {
		u.Role = core.RoleViewer
		_, err := r.Create(t.Context(), u)
		requireReason(t, err, reason)
	}
}

// Somebody who signs in after a change at one replica is let in by the other at once, which remembers them as they were.
func TestSigningInAfterAChangeElsewhere(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	old := r.login()
	r.requireIn(r.other, old.Access)
	_, err := r.SetPassword(t.Context(), r.ada.ID, password)
	require.NoError(t, err)
	r.requireIn(r.other, old.Access) // for a moment
	r.requireIn(r.other, r.login().Access)
	r.requireOut(r.other, old.Access, "token_invalid")

	disabled, enabled := true, false
	_, err = r.Change(t.Context(), r.ada.ID, core.UserChange{Disabled: &disabled})
	require.NoError(t, err)
	r.clock.pass(5 * time.Second)
	r.requireOut(r.other, old.Access, "token_invalid") // and knows of it
	_, err = r.Change(t.Context(), r.ada.ID, core.UserChange{Disabled: &enabled})
	require.NoError(t, err)
	r.requireIn(r.other, r.login().Access)
	r.requireOut(r.other, old.Access, "token_invalid")
}
