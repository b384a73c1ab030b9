package config

import (
	"maps"
	"slices"
)

// WorkerToken is a token that workers register with, and what it lets them be. Lists that are empty do not limit; in their
// entries * stands for any characters, and ? for one.
type WorkerToken struct {
	Token   Secret   `yaml:"token" config:"required"` // at least 16 bytes
	Workers []string `yaml:"workers"`                 // names
	Tags    []string `yaml:"tags"`                    // what a worker may offer, the tags of its runners included
}

// DefaultWorkerToken is what worker_token is called where tokens have names.
const DefaultWorkerToken = "default"

// minWorkerToken is how many bytes a named token has at least. There is no such limit for worker_token.
const minWorkerToken = 16

func (c *Server) validateWorkerTokens(p *problems) {
	if c.WorkerToken == "" && len(c.WorkerTokens) == 0 {
		p.add("worker_token", "is required, unless there are worker_tokens; set it in the file or as %sWORKER_TOKEN", envPrefix)
	}
	owners := map[Secret]string{}
	if c.WorkerToken != "" {
		owners[c.WorkerToken] = "worker_token"
	}
	for _, name := range slices.Sorted(maps.Keys(c.WorkerTokens)) {
		key, t := "worker_tokens."+name, c.WorkerTokens[name]
		switch {
		case !workspaceName.MatchString(name):
			p.add(key, "a name starts with a letter, a digit or _, goes on with these, . and -, and has at most 100 characters")
		case name == DefaultWorkerToken:
			p.add(key, "is what worker_token is called; choose another name")
		}
		p.globs(key+".workers", t.Workers)
		p.globs(key+".tags", t.Tags)
		if t.Token == "" {
			continue // is told already
		}
		if n := len(t.Token); n < minWorkerToken {
			p.add(key+".token", "has %d bytes and needs at least %d, as from: openssl rand -base64 24", n, minWorkerToken)
		}
		if other := owners[t.Token]; other != "" {
			p.add(key+".token", "is the same as that of %s; it would not be known which of the two a worker has", other)
			continue
		}
		owners[t.Token] = key
	}
}

func (p *problems) globs(key string, globs []string) {
	for _, glob := range globs {
		if glob == "" || len(glob) > 200 {
			p.add(key, "%q is not a name or a pattern such as ci-*: 1 to 200 characters", glob)
		}
	}
}
