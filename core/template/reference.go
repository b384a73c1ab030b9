package template

import "slices"

// Reference is a use of something from the context: {{ build.output.files[0] }} uses build, output, files, 0.
type Reference struct {
	Path    []string // the name and the keys behind it, up to the first that is computed
	Line    int      // from 1
	Column  int      // from 1
	Guarded bool     // the template copes with its being undefined: by a condition, default, or a set that may hide it
}

type reference struct {
	path    []string
	offset  int
	guarded bool
}

// References lists what the template may use of its context, in order of appearance. Names that the template itself
// binds by for, with or set are not in it.
func (t *Template) References() []Reference {
	refs := make([]Reference, len(t.refs))
	for i, r := range t.refs {
		line, column := t.position(r.offset)
		refs[i] = Reference{Path: r.path, Line: line, Column: column, Guarded: r.guarded}
	}
	return refs
}

// scope knows, while a template is compiled, which names it has bound at this point.
type scope struct {
	names []bound
}

type bound struct {
	name  string
	maybe bool // set in a branch that may not have been taken
}

type mark int

func (s *scope) mark() mark { return mark(len(s.names)) }

// leave ends a block or a branch of an if. What a branch sets may or may not be set from then on.
func (s *scope) leave(m mark, branch bool) {
	if !branch {
		s.names = s.names[:m]
		return
	}
	for i := int(m); i < len(s.names); i++ {
		s.names[i].maybe = true
	}
}

func (s *scope) find(name string) (isBound, maybe bool) {
	for _, v := range slices.Backward(s.names) {
		if b := v; b.name == name {
			if !b.maybe {
				return true, false
			}
			maybe = true
		}
	}
	return false, maybe
}

// references appends what t uses to refs, and binds the names that t binds.
func (s *scope) references(refs []reference, t *tag) []reference {
	condition := t.name == "if" || t.name == "elif" || t.name == "firstof"
	var collect func(e expr, guarded bool)
	collect = func(e expr, guarded bool) {
		if p, ok := e.(*path); ok {
			if isBound, maybe := s.find(p.name); !isBound {
				refs = append(refs, reference{p.static(), p.offset, guarded || maybe})
			}
		}
		children(e, func(child expr, optional bool) { collect(child, guarded || optional) })
	}
	before := len(refs)
	for _, e := range t.exprs {
		collect(e, condition)
	}
	collect(&filtered{input: &literal{}, filters: t.filters}, false)
	slices.SortStableFunc(refs[before:], func(x, y reference) int { return x.offset - y.offset })
	for _, name := range t.names {
		s.names = append(s.names, bound{name: name})
	}
	if t.name == "for" {
		s.names = append(s.names, bound{name: loopName})
	}
	return refs
}

// static is the path up to the first key that is computed.
func (p *path) static() []string {
	names := []string{p.name}
	for _, k := range p.keys {
		if k.index != nil {
			if l, ok := k.index.(*literal); ok {
				if s, err := text(l.value); err == nil {
					names = append(names, s)
					continue
				}
			}
			break
		}
		names = append(names, k.name)
	}
	return names
}
