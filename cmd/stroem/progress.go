package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// progress tells on standard error what goes on: on a terminal in a line that is replaced. Safe for concurrent use.
type progress struct {
	printer  printer // of lines that stay
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	shown bool // there is a line to be replaced
}

func newProgress(w io.Writer) *progress {
	p := &progress{out: w}
	p.printer.w = p // so that the line that is replaced goes first
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.terminal, p.printer.colour = true, colourful()
	}
	return p
}

// say shows what goes on, to those who watch.
func (p *progress) say(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.shown = true
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s …", what)
	}
}

// slow tells everybody of something that takes long.
func (p *progress) slow(what string) { p.line(what + " …") }

// line prints a line that stays. That it cannot be printed is no reason to do anything else.
func (p *progress) line(text string) { _, _ = fmt.Fprintln(p, text) }

// clear removes what say has shown.
func (p *progress) clear() { _, _ = p.Write(nil) }

// Write writes lines that stay.
func (p *progress) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		p.shown = false
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
	if len(data) == 0 {
		return 0, nil
	}
	return p.out.Write(data)
}
