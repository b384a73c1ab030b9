package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"sync"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// A lease is the right to report on one attempt of a step. The worker holds it; the server keeps its SHA-256.
const leaseBytes = 32

func newLease() (lease string, hash []byte) {
	var secret [leaseBytes]byte
	_, _ = rand.Read(secret[:]) // never fails
	lease = base64.RawURLEncoding.EncodeToString(secret[:])
	return lease, hashToken(lease)
}

// hashToken is what is stored of leases and of workers' tokens. Both are random, so that a plain hash suffices.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// StepRef names a step by id, or by job and name.
type StepRef struct {
	StepID   core.StepID
	JobID    uuid.UUID
	StepName string
}

// Lease is the attempt that a lease stands for.
type Lease struct {
	StepID    core.StepID
	JobID     uuid.UUID
	StepName  string
	Attempt   int
	Workspace string
	Revision  string
	Digest    string // of the revision's files
}

// Errors of reports whose lease does not hold.
var (
	ErrLeaseInvalid = core.Errorf(core.CodeForbidden, "lease_invalid", "The lease is missing or wrong")
	ErrLeaseStale   = core.Errorf(core.CodeConflict, "lease_stale", "The step has ended or was given to another worker: drop this attempt")
)

// CheckLease returns the attempt that lease stands for, if it is the current one of the step and the worker's own.
// Otherwise it fails with [ErrLeaseInvalid] or [ErrLeaseStale].
func (e *Engine) CheckLease(ctx context.Context, worker uuid.UUID, ref StepRef, lease string) (Lease, error) {
	hash := hashToken(lease)
	if held, ok := e.leases.get(ref); ok && held.worker == worker && subtle.ConstantTimeCompare(held.hash, hash) == 1 {
		return held.Lease, nil
	}
	step, err := e.store.StepLease(ctx, ref.StepID, ref.JobID, ref.StepName)
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return Lease{}, ErrLeaseInvalid
	case err != nil:
		return Lease{}, err
	}
	if err := checkLease(&step.Step, worker, hash); err != nil {
		return Lease{}, err
	}
	if step.Status != core.StepRunning {
		return Lease{}, ErrLeaseStale
	}
	held, _ := e.leases.hold(&step, worker, hash, e.openSecrets(ctx, step.JobID, step.Workspace, step.MaskSealed))
	return held, nil
}

// checkLease compares a lease with the one that the step was given out with last.
func checkLease(step *core.Step, worker uuid.UUID, hash []byte) error {
	if step.LeaseHash == nil {
		return ErrLeaseStale
	}
	if step.WorkerID != worker || subtle.ConstantTimeCompare(step.LeaseHash, hash) != 1 {
		return ErrLeaseInvalid
	}
	return nil
}

// leaseCache keeps the leases given out here and the secrets of their jobs, so that log lines need no query. It is a cache alone:
// what it lacks is looked up.
type leaseCache struct {
	mu     sync.RWMutex
	byID   map[core.StepID]heldLease
	byName map[stepName]core.StepID
	jobs   map[uuid.UUID]*leasedJob
}

// leasedJob is a job with steps whose leases are held.
type leasedJob struct {
	secrets *jobSecrets
	leases  int
}

// maxLeases bounds the cache, which does not hear of steps that end on other replicas; beyond that it starts afresh.
const maxLeases = 100_000

type stepName struct {
	job  uuid.UUID
	name string
}

type heldLease struct {
	Lease
	worker uuid.UUID
	hash   []byte
}

func (c *leaseCache) get(ref StepRef) (heldLease, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id := ref.StepID
	if id == 0 {
		id = c.byName[stepName{ref.JobID, ref.StepName}]
	}
	held, ok := c.byID[id]
	return held, ok
}

// secretsOf returns the secrets of a job whose leases are held here, or nil.
func (c *leaseCache) secretsOf(job uuid.UUID) *jobSecrets {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if leased := c.jobs[job]; leased != nil {
		return leased.secrets
	}
	return nil
}

// hold keeps a lease, and the secrets of its job with what was known of them.
func (c *leaseCache) hold(step *core.ClaimedStep, worker uuid.UUID, hash []byte, secrets *jobSecrets) (Lease, *jobSecrets) {
	lease := Lease{
		StepID: step.ID, JobID: step.JobID, StepName: step.Name, Attempt: step.Attempt,
		Workspace: step.Workspace, Revision: step.Revision, Digest: step.RevisionDigest,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= maxLeases {
		c.byID, c.byName, c.jobs = map[core.StepID]heldLease{}, map[stepName]core.StepID{}, map[uuid.UUID]*leasedJob{}
	}
	job := c.jobs[step.JobID]
	if job == nil {
		job = &leasedJob{secrets: secrets}
		c.jobs[step.JobID] = job
	} else {
		job.secrets.join(secrets)
	}
	if _, again := c.byID[step.ID]; !again {
		job.leases++
	}
	c.byID[step.ID] = heldLease{lease, worker, hash}
	c.byName[stepName{step.JobID, step.Name}] = step.ID
	return lease, job.secrets
}

func (c *leaseCache) forget(id core.StepID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held, ok := c.byID[id]; ok {
		delete(c.byID, id)
		delete(c.byName, stepName{held.JobID, held.StepName})
		if job := c.jobs[held.JobID]; job.leases > 1 {
			job.leases--
		} else {
			delete(c.jobs, held.JobID)
		}
	}
}
