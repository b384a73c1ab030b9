// Package hostapi is the host's end of the plugin protocol: what the server, the worker and the conformance harness use to
// start plugins and to call them. Plugin authors do not need it.
//
// A host makes a go-plugin client for the process from [ClientConfig], gets its connection with [Connect], and wraps
// that in [NewPlugin], [NewRunner], [NewSource] or [NewLogStore]. The wrappers satisfy the interfaces that plugins implement, so that
// code that uses a plugin cannot tell whether there is a wire in between.
package hostapi
