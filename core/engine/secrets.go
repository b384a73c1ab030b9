package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/mask"
)

// workspaceSecrets is what must not be shown of a workspace. It never changes.
type workspaceSecrets struct {
	content *core.Workspace // whose secrets these are
	values  []string        // those of content, then those that it had before
	masker  *mask.Masker
}

// workspaceCache keeps the secrets of workspaces ready for use.
type workspaceCache struct {
	mu     sync.Mutex
	byName map[string]*workspaceSecrets
}

// maxFormer bounds how many values are masked that a workspace had before: steps that were started with them may still
// print them.
const maxFormer = 256

// get makes the secrets ready again when the workspace has changed.
func (c *workspaceCache) get(name string, content *core.Workspace) *workspaceSecrets {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.byName[name]
	if known != nil && known.content == content {
		return known
	}
	fresh := &workspaceSecrets{content: content, values: unique(mask.Values(content.Secrets), nil)}
	if known != nil {
		former := unique(known.values, fresh.values)
		fresh.values = append(fresh.values, former[:min(len(former), maxFormer)]...)
	}
	if known != nil && slices.Equal(known.values, fresh.values) {
		fresh.masker = known.masker
	} else if len(fresh.values) > 0 {
		fresh.masker = mask.New(fresh.values)
	}
	if c.byName == nil {
		c.byName = map[string]*workspaceSecrets{}
	}
	c.byName[name] = fresh
	return fresh
}

func (c *workspaceCache) last(name string) *workspaceSecrets {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byName[name]
}

// unique lists the values that are not among known, each once.
func unique(values, known []string) []string {
	seen, list := make(map[string]bool, len(known)+len(values)), []string(nil)
	for _, value := range known {
		seen[value] = true
	}
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			list = append(list, value)
		}
	}
	return list
}

// secretsOf returns the secrets of a workspace as it is now, or as it was when it could be used last.
func (e *Engine) secretsOf(workspace string) (*workspaceSecrets, error) {
	content, _, err := e.workspaces.Workspace(workspace)
	if err == nil {
		return e.known.get(workspace, content), nil
	}
	if last := e.known.last(workspace); last != nil {
		return last, nil
	}
	return nil, err
}

// WorkspaceMasker returns what hides the secrets of a workspace, nil if there are none.
func (e *Engine) WorkspaceMasker(workspace string) *mask.Masker {
	secrets, err := e.secretsOf(workspace)
	if err != nil { // nothing is known of it
		return nil
	}
	return secrets.masker
}

// jobSecrets is what must not be shown of a job: the secrets of its workspace, and those that came with its input and with
// the inputs of its actions. It is safe for concurrent use.
type jobSecrets struct {
	workspace string

	mu     sync.Mutex
	broken error             // not all of them could be opened
	own    []string          // beyond those of the workspace
	of     *workspaceSecrets // that values and masker are made of
	values []string
	masker *mask.Masker
}

// join takes in what was opened anew.
func (s *jobSecrets) join(other *jobSecrets) {
	s.add(other.own)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = other.broken
	}
}

// incomplete tells why not all of them are known that are stored.
func (s *jobSecrets) incomplete() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// add takes in further values.
func (s *jobSecrets) add(values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh := unique(values, s.own); len(fresh) > 0 {
		s.own = append(slices.Clip(s.own), fresh...)
		s.of = nil
	}
}

// with returns them together with further values, which s itself does not take in.
func (s *jobSecrets) with(values []string) *jobSecrets {
	if len(values) == 0 {
		return s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &jobSecrets{workspace: s.workspace, broken: s.broken, own: unique(slices.Concat(s.own, values), nil)}
}

// ownValues are the values that are secret in the job beyond those of its workspace.
func (s *jobSecrets) ownValues() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.own)
}

// unknown lists the values that are not among the job's own.
func (s *jobSecrets) unknown(values []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return unique(values, s.own)
}

// forJob returns all values that are secret in a job, and what masks them; nil masks nothing. With an error not all of
// them are known: the workspace cannot be used, or what is stored cannot be opened.
func (e *Engine) forJob(s *jobSecrets) ([]string, *mask.Masker, error) {
	of, err := e.secretsOf(s.workspace)
	if err != nil {
		of = &workspaceSecrets{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = s.broken
	}
	if s.of == nil || s.of != of {
		s.of, s.values, s.masker = of, of.values, of.masker
		if len(s.own) > 0 {
			s.values = slices.Concat(of.values, unique(s.own, of.values))
			s.masker = mask.New(s.values)
		}
	}
	return s.values, s.masker, err
}

// loadLimit is how long workspaces may take to be loaded after the start. Until then, whatever needs their secrets is
// asked for again; after that it has to do without.
const loadLimit = 30 * time.Second

// premature tells whether an error is that a workspace cannot be used yet.
func (e *Engine) premature(err error) bool {
	return core.ErrorCode(err) == core.CodeUnavailable && err != nil && time.Since(e.started) < loadLimit
}

// openSecrets returns the secrets of a job as they are stored. If they cannot be opened, the key is another one: that is
// told by the result.
func (e *Engine) openSecrets(ctx context.Context, job uuid.UUID, workspace string, sealed [][]byte) *jobSecrets {
	s := &jobSecrets{workspace: workspace}
	for _, part := range sealed {
		var values []string
		document, err := e.config.Seal.Open(part, placeMask, job.String())
		if err == nil {
			err = json.Unmarshal(document, &values)
		}
		if err != nil {
			s.broken = fmt.Errorf("open what is secret in job %s: %w", job, err)
			e.logger.WarnContext(ctx, "not all that is secret in a job is known", "job", job, "error", err)
			continue
		}
		s.own = append(s.own, values...)
	}
	return s
}

// sealSecrets is the form in which openSecrets reads values.
func (e *Engine) sealSecrets(job uuid.UUID, values []string) ([]byte, error) {
	document, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode the secrets of job %s: %w", job, err)
	}
	return e.config.Seal.Seal(document, placeMask, job.String())
}

// learn notes further values that are secret in a job, so that all replicas know of them from now on.
func (e *Engine) learn(ctx context.Context, job uuid.UUID, s *jobSecrets, values []string) error {
	fresh := s.unknown(values)
	if len(fresh) == 0 {
		return nil
	}
	sealed, err := e.sealSecrets(job, fresh)
	if err != nil {
		return err
	}
	if err := e.store.AddJobSecrets(ctx, job, sealed); err != nil {
		return err
	}
	s.add(fresh)
	return nil
}

// JobMasker returns what hides the secrets of a job, nil if there are none. For jobs whose steps run it answers from
// memory.
func (e *Engine) JobMasker(ctx context.Context, job uuid.UUID) (*mask.Masker, error) {
	s, err := e.secretsOfJob(ctx, job)
	if err != nil || s == nil {
		return nil, err
	}
	_, masker, _ := e.forJob(s) // as far as they are known
	return masker, nil
}

// secretsOfJob returns the secrets of a job, nil if there is no such job.
func (e *Engine) secretsOfJob(ctx context.Context, job uuid.UUID) (*jobSecrets, error) {
	if s := e.leases.secretsOf(job); s != nil {
		return s, nil
	}
	stored, err := e.store.JobSecrets(ctx, job)
	if core.ErrorCode(err) == core.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return e.openSecrets(ctx, job, stored.Workspace, stored.MaskSealed), nil
}

// MaskerOf is [Engine.JobMasker] for a job that has been loaded whole.
func (e *Engine) MaskerOf(ctx context.Context, job *core.Job) *mask.Masker {
	if len(job.MaskSealed) == 0 {
		return e.WorkspaceMasker(job.Workspace)
	}
	_, masker, _ := e.forJob(e.openSecrets(ctx, job.ID, job.Workspace, job.MaskSealed)) // as far as they are known
	return masker
}
