// Package webhook decides about requests to webhooks: which trigger they are for, whether their sender knows its secret, and
// what its job gets as input.
package webhook
