package workflow

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
)

// maxFile is the size of the largest file in bytes.
const maxFile = 1 << 20

// file is one workflow file as it was read.
type file struct {
	name    string
	lines   []string // of the text, to find columns in blocks
	root    *yaml.Node
	content core.Workspace
	diags   Diagnostics
}

// sectionLine is how a line looks that makes a file a workflow file.
var sectionLine = regexp.MustCompile(`(?m)^["']?(secrets|actions|tasks|triggers|on_success|on_error)["']?[ \t]*:`)

// readFile parses a file and reads what it contributes.
func readFile(name string, data []byte, opts settings) *file {
	f := &file{name: name, root: &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}}
	if len(data) > maxFile {
		f.fail(1, 1, "the file has more than "+strconv.Itoa(maxFile)+" bytes: split it")
		return f
	}
	f.lines = strings.Split(string(data), "\n")
	root, ok := f.parse(data)
	if !ok || root == nil {
		return f
	}
	f.root = root
	r := &reader{file: name, specs: opts.specs, checkSpec: opts.check, now: opts.now, inRoot: opts.inRoot}
	f.content = r.workspace(root)
	f.diags = append(f.diags, r.diags...)
	return f
}

// parse returns the root of the only document, or nil if the file is empty.
func (f *file) parse(data []byte) (root *yaml.Node, ok bool) {
	defer func() {
		if recovered := recover(); recovered != nil { // a fault of the YAML library must not stop a server
			f.fail(1, 1, "this is YAML that cannot be parsed")
			root, ok = nil, false
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil:
		f.syntaxError(err)
		return nil, false
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		f.fail(second.Line, second.Column, "a workflow file holds one document: split it at ---")
		return nil, false
	case !errors.Is(err, io.EOF):
		f.syntaxError(err)
		return nil, false
	}
	if root = resolve(document.Content[0]); isNull(root) {
		return nil, true
	}
	return root, true
}

var yamlError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s)(.*)$`)

// parserError are the messages in which the library's count of lines is one behind.
var parserError = regexp.MustCompile(`^(did not find expected (,|'|key|node content|<)|found duplicate %|found incompatible YAML|found undefined tag)`)

// syntaxError reports what the YAML library says, at the line that it says.
func (f *file) syntaxError(err error) {
	parts := yamlError.FindStringSubmatch(err.Error())
	line, _ := strconv.Atoi(parts[1]) // "" where it does not say
	if line > 0 && parserError.MatchString(parts[2]) {
		line++ // the library counts these from 0
	}
	line = min(max(line, 1), len(f.lines))
	text := f.lines[line-1]
	column := len(text) - len(strings.TrimLeft(text, " \t")) + 1
	f.fail(line, column, "this is not valid YAML: "+parts[2])
}

func (f *file) fail(line, column int, message string) {
	f.diags = append(f.diags, Diagnostic{File: f.name, Line: max(line, 1), Column: max(column, 1), Severity: SeverityError, Message: message})
}

// inText is the place of a line and column of a scalar's text, as exactly as the style of writing allows.
func (f *file) inText(n *yaml.Node, line, column int) (int, int) {
	switch n.Style {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		at := n.Line + line // the text begins below the indicator
		if n.Style == yaml.FoldedStyle || at > len(f.lines) {
			return n.Line, n.Column
		}
		return at, f.indent(n.Line) + column
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		column++
	}
	if line > 1 || n.Line > len(f.lines) {
		return n.Line, n.Column
	}
	return n.Line, min(n.Column+column-1, utf8.RuneCountInString(f.lines[n.Line-1])+1)
}

// indent is how far the first line with text below a given one is indented.
func (f *file) indent(line int) int {
	for _, text := range f.lines[min(line, len(f.lines)):] {
		if trimmed := strings.TrimLeft(text, " "); strings.TrimSpace(trimmed) != "" {
			return len(text) - len(trimmed)
		}
	}
	return 0
}
