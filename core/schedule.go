package core

import (
	"time"

	"github.com/google/uuid"
)

// Schedule is what is known of a trigger that fires by time, across restarts and replicas.
type Schedule struct {
	Workspace, Trigger string
	Cron, Timezone     string    // what NextFire was computed from
	NextFire           time.Time // the zero time if it never fires again
}

// Fire is one instant of a schedule, at which its task is run or would have been.
type Fire struct {
	Workspace, Trigger string
	At                 time.Time // the instant that the schedule names
	Next               time.Time // when it fires after that; the zero time: never
	Missed             int       // instants before At that passed while nobody was there; at most MaxMissed are counted
	JobID              uuid.UUID // uuid.Nil if no job could be created
	Reason             string    // why not
	FiredAt            time.Time // when that was done
}

// MaxMissed bounds [Fire.Missed].
const MaxMissed = 1000

// TriggerUse is the last fire of a trigger by time, or the last request to a webhook.
type TriggerUse struct {
	At     time.Time
	JobID  uuid.UUID // zero: there is none, for the reason
	Reason string
}
