// Package wire holds what both ends of the plugin protocol have to agree on: the handshake, the limits, and how error
// codes travel.
package wire

import (
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
)

// Version is the version of the protocol, stroem.plugin.v1.
const Version = 1

// Handshake is the cookie by which a plugin knows that a host started it.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: Version, MagicCookieKey: "STROEM_PLUGIN", MagicCookieValue: "workflow"}
}

// LogLevelEnv names the environment variable with which the host says what a plugin should log.
const LogLevelEnv = "STROEM_PLUGIN_LOG_LEVEL"

// Limits of the protocol.
const (
	MaxMessage    = 16 << 20              // bytes of one message, in either direction
	MaxOutput     = 64 << 10              // bytes of one chunk of output
	MaxObject     = 256 << 10             // bytes of one chunk of an object
	FlushInterval = 20 * time.Millisecond // how long a chunk of output may wait to be filled
)

// codes by the name that they have in pluginapi.
var statusCodes = map[string]codes.Code{
	"invalid":       codes.InvalidArgument,
	"not_found":     codes.NotFound,
	"exists":        codes.AlreadyExists,
	"precondition":  codes.FailedPrecondition,
	"denied":        codes.PermissionDenied,
	"exhausted":     codes.ResourceExhausted,
	"unavailable":   codes.Unavailable,
	"unimplemented": codes.Unimplemented,
	"canceled":      codes.Canceled,
	"timeout":       codes.DeadlineExceeded,
	"internal":      codes.Internal,
}

// StatusCode returns the gRPC code for the name of a code; Internal for a name that is not known.
func StatusCode(name string) codes.Code {
	if code, ok := statusCodes[name]; ok {
		return code
	}
	return codes.Internal
}

// CodeName is the reverse of StatusCode.
func CodeName(code codes.Code) string {
	for name, c := range statusCodes {
		if c == code {
			return name
		}
	}
	return "internal"
}
