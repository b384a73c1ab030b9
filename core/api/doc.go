// Package api holds the JSON shapes of the HTTP API: what package httpapi serves and package client reads. The OpenAPI
// document is generated from these types. Times are RFC 3339 in UTC; durations are seconds.
package api
