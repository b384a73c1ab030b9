package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

const (
	authRounds     = 7
	authRound      = time.Second
	authCallers    = 8
	authPassword   = "password of the benchmark"
	authEmail      = "bench@example.org"
	authenticatedA = "/api/workspaces" // answered from memory: nothing else is as sensitive to what comes before
)

// authenticated measures A1: requests with an access token and with an API key, beside the same ones to a server without users.
func authenticated(ctx context.Context, s *system, r *report) error {
	secured, err := s.secured(ctx)
	if err != nil {
		return err
	}
	tokens, err := secured.Login(ctx, api.Login{Email: authEmail, Password: authPassword})
	if err != nil {
		return err
	}
	secured.Client = secured.WithToken(tokens.AccessToken)
	key, err := secured.CreateAPIKey(ctx, api.NewAPIKey{Name: "bench"})
	if err != nil {
		return err
	}
	kinds := []struct{ name, listen, token string }{
		{"open", s.listen, ""}, {"token", secured.listen, tokens.AccessToken}, {"key", secured.listen, key.Key},
	}
	rates := map[string][]float64{}
	for range authRounds {
		for _, kind := range kinds {
			rate, err := requestRate(ctx, kind.listen, kind.token)
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			rates[kind.name] = append(rates[kind.name], rate)
		}
	}
	open, byToken, byKey := median(rates["open"]), median(rates["token"]), median(rates["key"])
	r.add(result{
		ID: "A1", What: fmt.Sprintf("GET %s, %d callers: requests a second with an access token; with an API key", authenticatedA, authCallers),
		Baseline: fmt.Sprintf("without users %.0f/s", open),
		Measured: fmt.Sprintf("%.0f/s (%.0f %%); %.0f/s (%.0f %%)", byToken, 100*byToken/open, byKey, 100*byKey/open),
		Target:   "≥ 80 % each", Met: byToken >= 0.8*open && byKey >= 0.8*open,
		Figures: map[string]float64{"open_per_second": open, "token_per_second": byToken, "key_per_second": byKey},
	})
	return nil
}

// secured starts one more server, with users, on the same database.
func (s *system) secured(ctx context.Context) (*system, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	other := *s
	other.listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	if other.Client, err = client.New(client.Options{Server: "http://" + other.listen}); err != nil {
		return nil, err
	}
	cmd, err := s.start(ctx, "stroem-server", "secured", map[string]any{
		"listen": other.listen, "data_dir": filepath.Join(s.dir, "secured"), "db": map[string]any{"url": s.database}, "worker_token": token,
		"workspaces": map[string]any{"default": map[string]any{"type": "folder", "path": filepath.Join(s.dir, "workspace")}},
		"plugins":    map[string]any{"dir": filepath.Join(s.bin, "plugins")},
		"secrets":    map[string]any{"key": sealingKey},
		"auth": map[string]any{
			"jwt_secret":   "a secret of the benchmark, long enough",
			"initial_user": map[string]any{"email": authEmail, "password": authPassword},
		},
	})
	if err != nil {
		return nil, err
	}
	s.others = append(s.others, cmd)
	return &other, until(ctx, func() bool { return other.Ready(ctx) == nil })
}

// requestRate is how many requests a second some callers get answered.
func requestRate(ctx context.Context, listen, token string) (float64, error) {
	c := &fasthttp.HostClient{Addr: listen, MaxConns: authCallers}
	defer c.CloseIdleConnections()
	var done atomic.Int64
	var failed atomic.Pointer[error]
	begin := time.Now()
	var group sync.WaitGroup
	for range authCallers {
		group.Go(func() {
			request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(request)
			defer fasthttp.ReleaseResponse(response)
			request.SetRequestURI("http://" + listen + authenticatedA)
			if token != "" {
				request.Header.Set("Authorization", "Bearer "+token)
			}
			for time.Since(begin) < authRound && ctx.Err() == nil {
				err := c.Do(request, response)
				if err == nil && response.StatusCode() != fasthttp.StatusOK {
					err = errors.New(string(response.Body()))
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(begin).Seconds(), ctx.Err()
}
