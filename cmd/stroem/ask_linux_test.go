package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what is typed at one end and what a program has at the other.
type terminal struct {
	keyboard *os.File
	program  *os.File

	mu    sync.Mutex
	shown bytes.Buffer
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(int(keyboard.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	term := &terminal{keyboard: keyboard, program: program}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		part := make([]byte, 256)
		for {
			n, err := keyboard.Read(part)
			term.mu.Lock()
			term.shown.Write(part[:n])
			term.mu.Unlock()
			if err != nil { // the other end is closed
				return
			}
		}
	}()
	t.Cleanup(func() {
		assert.NoError(t, program.Close())
		<-ended
		assert.NoError(t, keyboard.Close())
	})
	return term
}

func (s *terminal) screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// answer types a line once a prompt is there and, for a secret, the terminal does not show what is typed.
func (s *terminal) answer(t *testing.T, prompt string, shown bool, line string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, s.screen(), prompt)
		assert.Equal(c, shown, s.echoes(t))
	}, 30*time.Second, 5*time.Millisecond)
	_, err := s.keyboard.WriteString(line)
	require.NoError(t, err)
}

func (s *terminal) echoes(t *testing.T) bool {
	state, err := unix.IoctlGetTermios(int(s.program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

// loginOn signs in on a terminal.
func (s *shell) loginOn(ctx context.Context, term *terminal, args ...string) <-chan error {
	var out bytes.Buffer
	root := s.command(&out, nil, append([]string{"login"}, args...)...)
	root.SetErr(term.program)
	root.SetIn(term.program)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	return ended
}

func TestSigningInOnATerminal(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	term := newTerminal(t)
	ended := s.loginOn(t.Context(), term)
	term.answer(t, "E-mail: ", true, rootEmail+"\n")
	term.answer(t, "Password: ", false, rootPassword+"\n")
	require.NoError(t, <-ended)
	require.Contains(t, term.screen(), rootEmail)
	require.NotContains(t, term.screen(), rootPassword)
	require.True(t, term.echoes(t))
	s.must("", "whoami")

	ended = s.loginOn(t.Context(), term, "--email", rootEmail)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, 2, strings.Count(term.screen(), "Password: ")) }, 30*time.Second, 5*time.Millisecond)
	term.answer(t, "Password: ", false, "\n")
	require.EqualError(t, <-ended, "no password was given")
}

// Ctrl-C at a prompt ends the command, and the terminal shows again what is typed.
func TestAnInterruptAtThePrompt(t *testing.T) {
	t.Parallel()
	term := newTerminal(t)
	ask := &asker{in: term.program, terminal: term.program, out: term.program}
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := ask.password(ctx, "Password: ")
		ended <- err
	}()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, term.screen(), "Password: ")
		assert.False(c, term.echoes(t))
	}, 30*time.Second, 5*time.Millisecond)
	interrupt()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.True(t, term.echoes(t))
	_, err := term.keyboard.WriteString("\n")
	require.NoError(t, err)
	ask.reading.Wait()
}
