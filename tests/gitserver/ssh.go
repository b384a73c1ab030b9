package gitserver

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Key is a pair of keys for ssh.
type Key struct {
	Signer ssh.Signer
	PEM    string // the private key
}

// NewKey makes a pair of keys. With a passphrase the private key is encrypted.
func NewKey(t TB, passphrase string) Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatalf("encode a key: %v", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatalf("make a signer: %v", err)
	}
	return Key{Signer: signer, PEM: string(pem.EncodeToMemory(block))}
}

// SSH is an ssh server on loopback that runs git-upload-pack and nothing else.
type SSH struct {
	Addr string
	// KnownHosts is the line of the server for a known_hosts file.
	KnownHosts string
}

// Allow says who may log in to an ssh server.
type Allow struct {
	User string
	Key  ssh.PublicKey
	// Password is for those who have none of the keys; "": nobody.
	Password string
}

// URL is that of the repository.
func (s *SSH) URL(user string) string { return "ssh://" + user + "@" + s.Addr + "/repo.git" }

// ServeSSH starts an ssh server with these host keys, the first of which is in KnownHosts. It ends with the test.
func (r *Repository) ServeSSH(allow Allow, hosts ...ssh.Signer) *SSH {
	r.t.Helper()
	refused := errors.New("refused")
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if allow.Key == nil || c.User() != allow.User || string(key.Marshal()) != string(allow.Key.Marshal()) {
				return nil, refused
			}
			return nil, nil
		},
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if allow.Password == "" || c.User() != allow.User || string(password) != allow.Password {
				return nil, refused
			}
			return nil, nil
		},
	}
	for _, host := range hosts {
		config.AddHostKey(host)
	}
	listener, err := new(net.ListenConfig).Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatalf("listen: %v", err)
	}
	address := listener.Addr().String()
	served := &connections{open: map[net.Conn]bool{}}
	served.wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.serve(conn, func() { r.serveConn(conn, config) })
		}
	})
	r.t.Cleanup(func() {
		_ = listener.Close()
		served.close()
	})
	return &SSH{Addr: address, KnownHosts: knownhosts.Line([]string{address}, hosts[0].PublicKey())}
}

// connections are those that are open.
type connections struct {
	wait sync.WaitGroup
	mu   sync.Mutex
	open map[net.Conn]bool
}

func (c *connections) serve(conn net.Conn, serve func()) {
	c.mu.Lock()
	c.open[conn] = true
	c.mu.Unlock()
	c.wait.Go(func() {
		defer func() { _ = conn.Close() }()
		serve()
	})
}

func (c *connections) close() {
	c.mu.Lock()
	for conn := range c.open {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
}

func (r *Repository) serveConn(conn net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // a client that does not get in, as tests want it
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { ssh.DiscardRequests(requests) })
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		wait.Go(func() { r.serveSession(channel, requests) })
	}
}

var command = regexp.MustCompile(`^git-upload-pack '(/?[A-Za-z0-9._/-]+)'$`)

func (r *Repository) serveSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	var wait sync.WaitGroup
	defer wait.Wait()
	defer func() { _ = channel.Close() }()
	for request := range requests {
		var exec struct{ Command string }
		var match []string
		if request.Type == "exec" && ssh.Unmarshal(request.Payload, &exec) == nil {
			match = command.FindStringSubmatch(exec.Command)
		}
		if err := request.Reply(match != nil, nil); err != nil || match == nil {
			continue
		}
		status := struct{ Code uint32 }{}
		if err := r.uploadPack(&wait, channel, match[1]); err != nil {
			status.Code = 128
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status)) // the client may be gone
		return
	}
}

// uploadPack runs git. What reads from the client ends with the channel, which is for the caller to close.
func (r *Repository) uploadPack(wait *sync.WaitGroup, channel ssh.Channel, path string) error {
	cmd := exec.CommandContext(r.t.Context(), "git", "upload-pack", "--strict", filepath.Join(r.Root, filepath.FromSlash(path)))
	cmd.Env = environment(r.work)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	wait.Go(func() {
		_, _ = io.Copy(in, channel) // ends when either side has enough
		_ = in.Close()
	})
	return cmd.Wait()
}
