// Package ratelimit says how often somebody may ask for something: token buckets in the memory of this process, one for each key.
// Replicas of the server count each on their own.
package ratelimit
