package server

import (
	"net/netip"

	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/ratelimit"
)

// webhookKeys is of how many webhooks and addresses it is remembered how often they were called.
const webhookKeys = 50_000

// levels are those that rules allow, as the configuration names them.
var levels = map[string]access.Level{
	config.AllowNone: access.LevelNone, config.AllowView: access.LevelView, config.AllowRun: access.LevelRun,
}

// accessPolicy is that of the configuration, nil if it has no rules.
func (s *Server) accessPolicy() *access.Policy {
	if len(s.config.ACL) == 0 {
		return nil
	}
	rules := make([]access.Rule, len(s.config.ACL))
	for i, r := range s.config.ACL {
		rules[i] = access.Rule{Workspace: r.Workspace, Tasks: r.Tasks, Groups: r.Groups, Users: r.Users, Allow: levels[r.Allow]}
	}
	return access.New(rules)
}

func (s *Server) trustedProxies() []netip.Prefix {
	networks := make([]netip.Prefix, len(s.config.TrustedProxies))
	for i, n := range s.config.TrustedProxies {
		networks[i] = n.Prefix
	}
	return networks
}

func (s *Server) webhookRate() *ratelimit.Limiter {
	perMinute := s.config.Limits.WebhookPerMinute
	return ratelimit.New(perMinute, perMinute, webhookKeys)
}
