package core

import (
	"time"

	"github.com/google/uuid"
)

// Delivery is one request to a webhook, accepted or not. It holds nothing of what the request said.
type Delivery struct {
	ID                 int64 // set by the store
	Workspace, Trigger string
	At                 time.Time // set by the store
	Method             string
	RemoteAddress      string
	Bytes              int // of the body
	Status             int // of the answer
	Reason             string
	JobID              uuid.UUID
}

// KeptDeliveries is how many are kept of a trigger.
const KeptDeliveries = 1000
