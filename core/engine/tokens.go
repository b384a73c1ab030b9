package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/glob"
)

// DefaultToken is the name of the token that has no name in the configuration.
const DefaultToken = "default"

// WorkerToken is a token that workers register with, and what it lets them be. Lists that are empty do not limit; in their
// entries * stands for any characters, and ? for one.
type WorkerToken struct {
	Name    string
	Secret  string
	Workers []string // names
	Tags    []string // what a worker may offer, the tags of its runners included
}

// tokens are those of the configuration. They do not change.
type tokens struct {
	list   []WorkerToken
	hashes [][sha256.Size]byte
	narrow bool // whether any limits tags
}

func newTokens(list []WorkerToken) *tokens {
	if len(list) == 0 {
		list = []WorkerToken{{Name: DefaultToken, Secret: rand.Text()}} // which nobody knows
	}
	t := &tokens{list: list}
	for i := range list {
		t.hashes = append(t.hashes, sha256.Sum256([]byte(list[i].Secret)))
		t.narrow = t.narrow || len(list[i].Tags) > 0
	}
	return t
}

// AuthenticateToken returns the name of a token that workers register with. It is compared with all of them: how long that
// takes tells nothing about any.
func (e *Engine) AuthenticateToken(secret string) (name string, err error) {
	got, found := sha256.Sum256([]byte(secret)), -1
	for i := range e.tokens.hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(got[:], e.tokens.hashes[i][:]), i, found)
	}
	if found < 0 {
		return "", core.Errorf(core.CodeUnauthenticated, "", "Invalid worker token")
	}
	return e.tokens.list[found].Name, nil
}

// errTokenChanged tells a worker that it has to register again: its own token was given to it under one that the
// configuration does not have any more, or does not let it be what it is.
var errTokenChanged = core.Errorf(core.CodeUnauthenticated, "worker_token_changed",
	"The server's configuration does not let this worker in any more as it did: it has to register again")

// admit tells whether a worker may have a name and offer tags by the token that it registers with, or did.
func (t *tokens) admit(token, worker string, tags []string) error {
	limits := t.named(token)
	if limits == nil {
		return errTokenChanged
	}
	if !limits.allowsName(worker) {
		return core.Errorf(core.CodeForbidden, "worker_name_not_allowed",
			"The token '%s' is for workers that are called %s, and this one is called %q: "+
				"name it so (worker_name), or extend worker_tokens.%s.workers on the server",
			token, strings.Join(limits.Workers, ", "), worker, token)
	}
	if excess := limits.excess(tags); len(excess) > 0 {
		return core.Errorf(core.CodeForbidden, "worker_tags_not_allowed",
			"The token '%s' does not allow the tags %s, only %s: take them from the worker (tags, or the plugin that brings them), "+
				"or extend worker_tokens.%s.tags on the server",
			token, strings.Join(excess, ", "), strings.Join(limits.Tags, ", "), token)
	}
	return nil
}

func (t *tokens) named(name string) *WorkerToken {
	if i := slices.IndexFunc(t.list, func(w WorkerToken) bool { return w.Name == name }); i >= 0 {
		return &t.list[i]
	}
	return nil
}

// allowed are those of the tags of a claim that the token allows which its worker has registered with. Others are refused
// when they are offered, and told then; that is no reason to keep a worker from the steps that it may run.
func (t *tokens) allowed(token string, tags []string) []string {
	limits := t.named(token)
	if limits == nil {
		return nil
	}
	if excess := limits.excess(tags); len(excess) > 0 {
		return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return slices.Contains(excess, tag) })
	}
	return tags
}

// describable are those of the types that a worker's plugins describe whose steps it may run. What it says of others is not
// kept: it also describes types that it cannot run now, and what it says would count for all workers.
func (t *tokens) describable(token string, types []core.ActionType) []core.ActionType {
	limits := t.named(token)
	if limits == nil || len(limits.Tags) == 0 {
		return types
	}
	return slices.DeleteFunc(types, func(described core.ActionType) bool {
		return len(limits.excess((&core.Action{Type: described.Name, Runner: described.Runner}).RequiredTags())) > 0
	})
}

func (w *WorkerToken) allowsName(name string) bool {
	return len(w.Workers) == 0 || matchesAny(w.Workers, name)
}

// excess are the tags that are not allowed.
func (w *WorkerToken) excess(tags []string) (excess []string) {
	if len(w.Tags) == 0 {
		return nil
	}
	for _, tag := range tags {
		if !matchesAny(w.Tags, tag) {
			excess = append(excess, tag)
		}
	}
	return excess
}

func matchesAny(globs []string, text string) bool {
	return slices.ContainsFunc(globs, func(pattern string) bool { return glob.Match(pattern, text) })
}
