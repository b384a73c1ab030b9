// Package credentials keeps the sessions with which the command line signs in: in a file of the user's, one for each server, for
// all processes that run at once.
//
// A refresh token is for one use, and one that comes twice ends its session. So tokens are read, spent and replaced under a lock
// that processes share. Who dies between the server's answer and the write loses the session, and nothing else.
package credentials
