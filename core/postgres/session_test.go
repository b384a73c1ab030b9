package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/postgres"
)

// Sessions on which nothing happens are asked again and again whether they live, and go on.
func TestAQuietSessionGoesOn(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	store, _ := coretest.Store(t, postgres.Timeout(timeout))
	ctx, stop := context.WithCancel(t.Context())
	woken, listened := make(chan struct{}, 8), make(chan error, 1)
	go func() { listened <- store.Listen(ctx, func() { woken <- struct{}{} }, func() {}) }()
	<-woken // it listens
	led, err := store.Lead(ctx, func(ctx context.Context) error {
		select {
		case <-time.After(5 * timeout): // many times as long as either is left alone
			return nil
		case <-ctx.Done():
			return errors.New("the lead was lost")
		}
	})
	require.NoError(t, err)
	require.True(t, led)
	require.NoError(t, store.Notify(ctx))
	select {
	case <-woken:
	case err := <-listened:
		require.NoError(t, err, "it does not listen any more")
	}
	stop()
	require.ErrorIs(t, <-listened, context.Canceled)
}

// TestTheLeadPassesOn has two stores that want to lead: the second waits in one call until the first lets go.
func TestTheLeadPassesOn(t *testing.T) {
	t.Parallel()
	first, url := coretest.Store(t)
	second, err := postgres.Open(t.Context(), url, 4)
	require.NoError(t, err)
	t.Cleanup(second.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	leads, letGo := make(chan string, 2), make(chan struct{})
	lead := func(store *postgres.Store, name string) <-chan error {
		done := make(chan error, 1)
		go func() {
			led, err := store.Lead(ctx, func(ctx context.Context) error {
				leads <- name
				select {
				case <-letGo:
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			if err == nil && !led {
				err = errors.New(name + " did not lead")
			}
			done <- err
		}()
		return done
	}
	leader := func() string {
		select {
		case name := <-leads:
			return name
		case <-ctx.Done():
			return "nobody"
		}
	}
	firstDone := lead(first, "first")
	require.Equal(t, "first", leader())
	secondDone := lead(second, "second")
	letGo <- struct{}{}
	require.NoError(t, <-firstDone)
	require.Equal(t, "second", leader())
	letGo <- struct{}{}
	require.NoError(t, <-secondDone)
}
