package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Where   string // "server-config.yaml:12:3" or "STROEM__DB__URL"; the file alone for what is missing
	Key     string // "db.url"; "" if the problem is not about one key
	Message string // what is wrong and how to mend it

	line, column int
}

// Error is a configuration that cannot be used, with all its problems in the order of the file.
type Error struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Message
		if p.Key != "" {
			lines[i] = p.Key + ": " + p.Message
		}
		if p.Where != "" {
			lines[i] = p.Where + ": " + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

// place is where a value was written: a line of the file, or a variable.
type place struct {
	variable     string
	line, column int
}

// problems collects what is wrong. Places are kept by key, so that checks after decoding can name them too.
type problems struct {
	file   string
	places map[string]place
	list   []Problem
}

// add records a problem with the value at key; its place is that of the key or of the nearest section around it.
func (p *problems) add(key, format string, args ...any) {
	at, found := p.places[key]
	for section := key; !found && section != ""; at, found = p.places[section] {
		section = section[:max(strings.LastIndexByte(section, '.'), 0)]
	}
	p.addAt(at, key, format, args...)
}

func (p *problems) addAt(at place, key, format string, args ...any) {
	where := p.file
	switch {
	case at.variable != "":
		where = at.variable
	case at.line > 0:
		where = fmt.Sprintf("%s:%d:%d", p.file, at.line, at.column)
	}
	p.list = append(p.list, Problem{
		Where: where, Key: key, Message: fmt.Sprintf(format, args...), line: at.line, column: at.column,
	})
}

// err returns what was collected as an [Error], or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), cmp.Compare(a.Key, b.Key))
	})
	return &Error{Problems: p.list}
}
