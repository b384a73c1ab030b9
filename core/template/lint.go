package template

import (
	"regexp"
	"strings"
)

// Unquoted finds, in the template of a POSIX shell script, each {{ … }} of something below root (as in input.name) that
// the shell would split into words and expand, because it stands neither in quotes nor in a here-document and has no
// filter that makes it safe. It is a lint: quoting that runs through the output of tags is not followed.
func (t *Template) Unquoted(root string) []Reference {
	var found []Reference
	var shell shellState
	pos, refs := 0, t.References()
	for _, m := range t.markup {
		shell.read(t.source[pos:m.start])
		pos = m.end
		if m.tag == nil || m.tag.name != "print" {
			continue
		}
		if l, ok := m.tag.exprs[0].(*literal); ok { // verbatim
			if s, ok := l.value.(string); ok {
				shell.read(s)
			}
			continue
		}
		if shell.unquoted() && !isShellSafe(m.tag.exprs[0]) {
			for i, ref := range t.refs {
				if m.start <= ref.offset && ref.offset < m.end && ref.path[0] == root {
					found = append(found, refs[i])
				}
			}
		}
		shell.word = true
	}
	return found
}

// isShellSafe tells whether the last filter of e leaves nothing that a shell would interpret.
func isShellSafe(e expr) bool {
	f, ok := e.(*filtered)
	if !ok {
		return false
	}
	switch f.filters[len(f.filters)-1].name {
	case "shellquote", "integer", "length", "wordcount":
		return true
	}
	return false
}

// shellState follows the quoting of a shell script.
type shellState struct {
	quote   byte     // ' or " or 0
	escaped bool     // the next character is
	comment bool     // until the end of the line
	word    bool     // inside a word, where # begins no comment
	pending []string // here-documents that begin on the next line
	here    string   // the delimiter of the one at hand
	line    string   // of the here-document, so far
}

func (s *shellState) unquoted() bool { return s.quote == 0 && !s.escaped && !s.comment && s.here == "" }

var hereDocument = regexp.MustCompile(`^<<-?[ \t]*["'\\]?(\w+)["']?`)

func (s *shellState) read(text string) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.here != "":
			s.readHere(c)
		case s.escaped:
			s.escaped = false
		case c == '\n' && s.quote == 0:
			s.comment, s.word = false, false
			s.nextHere()
		case s.comment:
		case c == '\\' && s.quote != '\'':
			s.escaped, s.word = true, true
		case s.quote != 0:
			if c == s.quote {
				s.quote = 0
			}
		case c == '\'' || c == '"':
			s.quote, s.word = c, true
		case c == '#' && !s.word:
			s.comment = true
		case c == '<' && !strings.HasPrefix(text[i:], "<<<"):
			s.word = false
			if m := hereDocument.FindStringSubmatch(text[i:]); m != nil {
				s.pending = append(s.pending, m[1])
				i += len(m[0]) - 1
			}
		case c == '<' && strings.HasPrefix(text[i:], "<<<"):
			s.word = false
			i += 2
		default:
			s.word = strings.IndexByte(" \t;&|()<>", c) < 0
		}
	}
}

func (s *shellState) readHere(c byte) {
	if c != '\n' {
		s.line += string(c)
		return
	}
	if strings.TrimLeft(s.line, "\t") == s.here {
		s.nextHere()
	}
	s.line = ""
}

func (s *shellState) nextHere() {
	s.here = ""
	if len(s.pending) > 0 {
		s.here, s.pending = s.pending[0], s.pending[1:]
	}
}
