package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/replica"
	"github.com/stroem/stroem/core/seal"
)

// replicas are this server and the others on the same database.
type replicas struct {
	self  *replica.Identity
	keys  []replica.Key // our own first
	peers *replica.Peers
}

func (s *Server) replicas(self *replica.Identity, key *seal.Key) (*replicas, error) {
	derived, err := key.Derive("requests of replicas")
	if err != nil {
		return nil, err
	}
	keys := make([]replica.Key, len(derived))
	for i := range derived {
		keys[i] = derived[i]
	}
	config, err := s.peerTLS()
	if err != nil {
		return nil, err
	}
	return &replicas{self: self, keys: keys, peers: replica.NewPeers(keys[0], config)}, nil
}

// peerTLS trusts, besides what the system does, what stands in the file of our own certificate: often that is the others', too, or
// who made it.
func (s *Server) peerTLS() (*tls.Config, error) {
	if s.config.TLS == nil {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	own, err := os.ReadFile(s.config.TLS.Cert)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate: %w", err)
	}
	pool.AppendCertsFromPEM(own)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// logs are those of all replicas.
func (r *replicas) logs(s *Server, local *joblog.Store, store *postgres.Store) *logs.Logs {
	return logs.New(logs.Options{
		ID: r.self.ID, Local: local, Registry: store, Peers: r.peers, Life: s.config.Recovery.ReplicaTimeout, Logger: s.logger,
	})
}

func (r *replicas) configure(c *httpapi.Config, all *logs.Logs) {
	c.Logs, c.Segments, c.Replicas = all, all, replica.Guard{Keys: r.keys, ID: r.self.ID}
}

// internalURL is where other replicas reach this one: as configured, or at the address that it listens on. If it listens on all
// of the machine's, it is that at which the database sees it; "": they do not reach it.
func (s *Server) internalURL(listen net.Addr, seen string) string {
	if s.config.InternalURL != "" {
		return s.config.InternalURL
	}
	at, err := netip.ParseAddrPort(listen.String())
	if err != nil {
		return ""
	}
	if at.Addr().IsUnspecified() {
		ip, err := netip.ParseAddr(seen)
		if err != nil {
			return ""
		}
		at = netip.AddrPortFrom(ip, at.Port())
	}
	if s.config.TLS != nil {
		return "https://" + at.String()
	}
	return "http://" + at.String()
}

// leaveLimit bounds how long the end of a server waits for the database.
const leaveLimit = 2 * time.Second

// leave lets the other replicas take over the logs that are kept here soon.
func (s *Server) leave(ctx context.Context, all *logs.Logs, url string) {
	ctx, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()
	if err := all.Leave(ctx, url); err != nil {
		s.logger.WarnContext(ctx, "the other replicas do not know that this one has ended", "error", err)
	}
}
