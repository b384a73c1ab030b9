package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// Output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// printer writes results in the chosen format, with colours on a terminal only.
type printer struct {
	format string
	w      io.Writer
	colour bool
	width  int // of the terminal; 0 if there is none
}

func (p *printer) prepare(cmd *cobra.Command) error {
	p.w = cmd.OutOrStdout()
	switch p.format {
	case formatTable, formatJSON, formatYAML:
	default:
		return &exitError{exitUsage, fmt.Errorf("--output is %q: it has to be table, json or yaml", p.format)}
	}
	if file, ok := p.w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.width, _, _ = term.GetSize(int(file.Fd()))
		p.colour = colourful()
	}
	return nil
}

// colourful tells whether a terminal is to have colours.
func colourful() bool {
	_, noColour := os.LookupEnv("NO_COLOR")
	return !noColour && os.Getenv("TERM") != "dumb"
}

// structured tells whether the output is for programs.
func (p *printer) structured() bool { return p.format != formatTable }

// document writes a value as JSON or YAML. YAML has the names and shapes of the JSON.
func (p *printer) document(value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if p.format == formatYAML {
		var node yaml.Node
		if err := yaml.Unmarshal(data, &node); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		blockStyle(&node)
		if data, err = yaml.Marshal(&node); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
	}
	return p.line(strings.TrimRight(string(data), "\n"))
}

func blockStyle(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		blockStyle(child)
	}
}

func (p *printer) line(text string) error {
	if _, err := fmt.Fprintln(p.w, text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// table writes rows under a header. On a terminal the widest columns are cut so that a row fits on a line.
func (p *printer) table(header []string, rows [][]string) error {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], visible(cell))
		}
	}
	p.fit(widths)
	for r, row := range append([][]string{header}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			cell = cut(cell, widths[i])
			padding := strings.Repeat(" ", widths[i]-visible(cell))
			if r > 0 && header[i] == "STATUS" {
				cell = p.status(cell)
			}
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(padding + "  ")
			}
		}
		if err := p.line(strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// fit makes the widest columns narrower, as far as they can be read, until a row fits on a line.
func (p *printer) fit(widths []int) {
	if p.width == 0 {
		return
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > p.width; total-- {
		widest := slices.Max(widths)
		if widest <= narrowest {
			return
		}
		widths[slices.Index(widths, widest)]--
	}
}

// narrowest is how narrow a column becomes.
const narrowest = 12

func visible(s string) int { return utf8.RuneCountInString(s) }

func cut(s string, width int) string {
	if visible(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// status colours the state of a job, step or worker.
func (p *printer) status(s string) string {
	colour := map[string]string{
		"completed": "32", "active": "32", "failed": "31", "inactive": "31", "revoked": "31", "running": "34", "ready": "36",
		"cancelled": "33", "skipped": "90", "pending": "90",
	}[s]
	return p.paint(colour, s)
}

func (p *printer) paint(colour, s string) string {
	if !p.colour || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// printable makes text from elsewhere safe for a terminal: control characters are shown, not obeyed.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func duration(start, end *time.Time) string {
	if start == nil {
		return "-"
	}
	stop := time.Now()
	if end != nil {
		stop = *end
	}
	d := stop.Sub(*start)
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
