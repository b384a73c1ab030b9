package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"

	"github.com/stroem/stroem/pluginapi"
)

// sshHandshake bounds what comes before git-upload-pack runs.
const sshHandshake = 20 * time.Second

// openSSH connects by way of the dialer, authenticates, and starts git-upload-pack.
func openSSH(ctx context.Context, dialer proxy.Dialer, w *workspace) (_ session, err error) {
	keys, err := w.hostKeys()
	if err != nil {
		return nil, err
	}
	methods, done, err := w.Auth.sshMethods()
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := dial(ctx, dialer, w.remote.address())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// The library knows no contexts: ending the connection ends whatever it waits for.
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if err != nil {
			release()
			_ = conn.Close()
			err = errors.Join(ctx.Err(), err)
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(sshHandshake)); err != nil {
		return nil, err
	}
	// The library turns the error of the callback into text; this one has a code.
	var refusal error
	secure, channels, requests, err := ssh.NewClientConn(conn, w.remote.address(), &ssh.ClientConfig{
		User: w.Auth.sshUser(w.remote), Auth: methods, HostKeyAlgorithms: keys.algorithms, ClientVersion: "SSH-2.0-stroem",
		HostKeyCallback: func(host string, from net.Addr, key ssh.PublicKey) error {
			refusal = keys.check(host, from, key)
			return refusal
		},
	})
	if err != nil {
		if refusal != nil {
			return nil, refusal
		}
		return nil, explainHandshake(err, keys)
	}
	client := ssh.NewClient(secure, channels, requests)
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	s, err := client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	p := &piped{done: func() { release(); _ = client.Close() }}
	s.Stderr = &p.said
	if p.in, err = s.StdinPipe(); err != nil {
		return nil, err
	}
	if p.out, err = s.StdoutPipe(); err != nil {
		return nil, err
	}
	p.wait = s.Wait
	if err := s.Start(uploadPack + " " + quote(w.remote.path)); err != nil {
		return nil, fmt.Errorf("start git-upload-pack: %w", err)
	}
	return p, nil
}

func dial(ctx context.Context, dialer proxy.Dialer, address string) (net.Conn, error) {
	if d, ok := dialer.(proxy.ContextDialer); ok {
		return d.DialContext(ctx, "tcp", address)
	}
	return dialer.Dial("tcp", address)
}

// explainHandshake puts into words what the library has no types for.
func explainHandshake(err error, keys hostKeys) error {
	switch text := err.Error(); {
	case strings.Contains(text, "unable to authenticate"):
		return pluginapi.Errorf(pluginapi.CodeDenied, "the remote refuses the credentials")
	case strings.Contains(text, "no common algorithm for host key") && len(keys.algorithms) > 0:
		return pluginapi.Errorf(pluginapi.CodeDenied, "the server has no host key of the kinds that the known hosts have for it (%s)",
			strings.Join(keys.algorithms, ", "))
	default:
		return fmt.Errorf("log in: %w", err)
	}
}

// quote makes one word of a text for the shell at the other end, in the way that restricted shells for git expect.
func quote(text string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(text) + "'"
}
