package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// lineLimit bounds what is read as one line.
const lineLimit = 8 << 10

// asker asks whoever runs the command: on the terminal, if standard input is one.
type asker struct {
	in       io.Reader
	terminal *os.File // nil: there is none
	out      io.Writer
	reading  sync.WaitGroup // what was interrupted ends with the next line only, or with the program
}

func newAsker(cmd *cobra.Command) *asker {
	a := &asker{in: cmd.InOrStdin(), out: cmd.ErrOrStderr()}
	if file, ok := a.in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		a.terminal = file
	}
	return a
}

// line asks for a line of text on the terminal.
func (a *asker) line(ctx context.Context, prompt string) (string, error) {
	_, _ = fmt.Fprint(a.out, prompt)
	return a.read(ctx, func() ([]byte, error) { return readLine(a.in) })
}

// secret asks for a line on the terminal, which does not show it, or takes the first line of standard input.
func (a *asker) secret(ctx context.Context, prompt string) (string, error) {
	if a.terminal == nil {
		return a.read(ctx, func() ([]byte, error) { return readLine(a.in) })
	}
	_, _ = fmt.Fprint(a.out, prompt)
	fd := int(a.terminal.Fd())
	text, err := a.read(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	_, _ = fmt.Fprintln(a.out)
	return text, err
}

// read reads until ctx ends. A terminal is then as it was before.
func (a *asker) read(ctx context.Context, read func() ([]byte, error)) (string, error) {
	var before *term.State
	if a.terminal != nil {
		var err error
		if before, err = term.GetState(int(a.terminal.Fd())); err != nil {
			return "", fmt.Errorf("look at the terminal: %w", err)
		}
	}
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	a.reading.Go(func() {
		text, err := read()
		answered <- answer{text, err}
	})
	select {
	case got := <-answered:
		if got.err != nil && !errors.Is(got.err, io.EOF) {
			return "", fmt.Errorf("read standard input: %w", got.err)
		}
		return string(got.text), nil
	case <-ctx.Done():
		if before != nil {
			_ = term.Restore(int(a.terminal.Fd()), before)
		}
		return "", context.Cause(ctx)
	}
}

// readLine reads up to the end of a line and not beyond: what follows is for whoever reads next. The error is io.EOF if nothing
// is left.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	for one := make([]byte, 1); ; {
		n, err := r.Read(one)
		switch {
		case n == 1 && one[0] == '\n':
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case n == 1:
			if line = append(line, one[0]); len(line) > lineLimit {
				return nil, fmt.Errorf("the line has more than %d bytes", lineLimit)
			}
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// password asks for one, which is never empty.
func (a *asker) password(ctx context.Context, prompt string) (string, error) {
	text, err := a.secret(ctx, prompt)
	if err != nil {
		return "", err
	}
	if text == "" {
		if a.terminal == nil {
			return "", errors.New("standard input is no terminal to ask for the password on, and does not hold it")
		}
		return "", errors.New("no password was given")
	}
	return text, nil
}

// email is an address as it is given, or is asked for.
func (a *asker) email(ctx context.Context, given string) (string, error) {
	if given = strings.TrimSpace(given); given != "" {
		return given, nil
	}
	if a.terminal == nil {
		return "", &exitError{exitUsage, errors.New("standard input is no terminal to ask on: give --email, and the password on standard input")}
	}
	text, err := a.line(ctx, "E-mail: ")
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("no e-mail address was given")
	}
	return strings.TrimSpace(text), err
}
