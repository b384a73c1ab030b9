package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// serveMetrics serves them at an address of their own, if there is one, until stop is called.
func (s *Server) serveMetrics(ctx context.Context, figures http.Handler) (stop func() error, err error) {
	if !s.config.Metrics.Enabled || s.config.Metrics.Listen == "" {
		return func() error { return nil }, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Metrics.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s for metrics: %w", s.config.Metrics.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", figures)
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 3 * time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.logger.InfoContext(ctx, "metrics", "address", listener.Addr().String())
	return func() error {
		closed := server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve metrics: %w", err)
		}
		return closed
	}, nil
}
