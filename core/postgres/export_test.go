package postgres

// For tests that look at how the database answers them.
const (
	ReadQueues      = readQueues
	CountRunning    = countRunning
	CountOpen       = countOpen
	FindUnclaimable = findUnclaimable
	ClaimReady      = claimReady
)
