package template

import "slices"

// The nodes of a compiled expression.
type (
	expr any

	literal struct{ value any }

	// path is a name and the keys that follow it: build.output.files[0].
	path struct {
		name   string
		keys   []key
		offset int
	}
	key struct {
		name  string // the key, unless index is given
		index expr   // x[index]
	}

	unary struct {
		op      string // "-", "not"
		operand expr
		offset  int
	}
	binary struct {
		op          string
		left, right expr
		offset      int
		tight       bool // no blank around op, as in first-one
	}

	filtered struct {
		input   expr
		filters []filterCall
	}
	filterCall struct {
		name   string
		filter filter
		arg    expr // nil: none
		offset int
	}
)

// children calls visit for the expressions that e is made of. optional tells that the child may be undefined.
func children(e expr, visit func(child expr, optional bool)) {
	switch e := e.(type) {
	case *path:
		for _, k := range e.keys {
			if k.index != nil {
				visit(k.index, false)
			}
		}
	case *unary:
		visit(e.operand, false)
	case *binary:
		visit(e.left, false)
		visit(e.right, false)
	case *filtered:
		optional := false
		for _, f := range slices.Backward(e.filters) {
			if f.arg != nil {
				visit(f.arg, optional)
			}
			optional = optional || f.name == filterDefault
		}
		visit(e.input, optional)
	}
}
