package core

import "github.com/google/uuid"

// Ticket lets its user open the log stream of one job, once.
type Ticket struct {
	Job   uuid.UUID
	User  uuid.UUID
	Epoch int    // of the user's sessions when it was made
	Key   []byte // hash of the API key that it was made with; nil: it was an access token
}
