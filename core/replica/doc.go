// Package replica is how the servers on one database know each other: each has an id that is kept in its data directory, tells the
// others that it is there, and asks them for the logs that they keep.
package replica
