package template

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flosch/pongo2/v6"
)

// filter is a filter that templates may use. Exactly those in filters exist.
type filter struct {
	input kind
	arg   argument
	// run is ours; nil means the filter of that name in pongo2.
	run func(r *rendering, in, arg any) (any, error)
}

// kind is what a filter takes; text accepts everything as it is printed.
type kind int

const (
	kindAny kind = iota
	kindText
	kindNumber
	kindSequence // a list, or anything else as text
	kindSized    // also an object
)

// argument bounds what stands behind the colon.
type argument struct {
	kind     argumentKind
	optional bool
	min, max int64  // of an integer
	form     string // of a text: an example
}

type argumentKind int

const (
	argNone argumentKind = iota
	argAny
	argText
	argInteger
)

func (a argument) example() string {
	switch {
	case a.form != "":
		return a.form
	case a.kind == argInteger:
		return "10"
	default:
		return `"…"`
	}
}

var (
	anyArg   = argument{kind: argAny}
	textArg  = argument{kind: argText}
	widthArg = argument{kind: argInteger, max: 10_000}
)

const filterDefault = "default"

// filters is the allow-list. What is not here has no use outside HTML, is random, or lets its argument decide about
// memory, a regular expression or a format.
var filters = map[string]filter{
	filterDefault:     {arg: anyArg}, // see chain
	"default_if_none": {arg: anyArg, run: defaultIfNone},
	"shellquote":      {input: kindText, run: shellquote},
	"tojson":          {run: toJSON},
	"vals":            {run: resolveVals},

	"addslashes":    {input: kindText},
	"capfirst":      {input: kindText},
	"center":        {input: kindText, arg: widthArg},
	"cut":           {input: kindText, arg: textArg},
	"escape":        {input: kindText},
	"ljust":         {input: kindText, arg: widthArg},
	"lower":         {input: kindText},
	"rjust":         {input: kindText, arg: widthArg},
	"safe":          {},
	"split":         {input: kindText, arg: textArg},
	"title":         {input: kindText},
	"truncatechars": {input: kindText, arg: argument{kind: argInteger, max: math.MaxInt32}},
	"truncatewords": {input: kindText, arg: argument{kind: argInteger, max: math.MaxInt32}},
	"upper":         {input: kindText},
	"urlencode":     {input: kindText},
	"wordcount":     {input: kindText},

	"first":     {input: kindSequence},
	"join":      {input: kindSequence, arg: textArg, run: join},
	"last":      {input: kindSequence},
	"length":    {input: kindSized},
	"length_is": {input: kindSized, arg: argument{kind: argInteger, max: math.MaxInt32}},
	"slice":     {input: kindSequence, arg: argument{kind: argText, form: `"1:3"`}},

	"add":         {arg: anyArg, run: add},
	"divisibleby": {input: kindNumber, arg: argument{kind: argInteger, min: math.MinInt32, max: math.MaxInt32}},
	"float":       {run: toFloatFilter},
	"floatformat": {input: kindNumber, arg: argument{kind: argInteger, optional: true, min: -20, max: 20}},
	"integer":     {run: toInteger},
	"pluralize":   {input: kindNumber, arg: argument{kind: argText, optional: true, form: `"y,ies"`}},
	"yesno":       {arg: argument{kind: argText, optional: true, form: `"yes,no"`}},
}

func filterNames() string {
	names := make([]string, 0, len(filters))
	for name := range filters {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// filtered runs a chain of filters. All that stands before a default may be undefined.
func (r *rendering) filtered(e *filtered, lenient bool) (any, error) {
	v, err := r.eval(e.input, lenient || hasDefault(e.filters))
	if err != nil {
		return nil, err
	}
	return r.chain(v, e.filters, lenient)
}

func hasDefault(calls []filterCall) bool {
	return slices.ContainsFunc(calls, func(c filterCall) bool { return c.name == filterDefault })
}

// chain runs filters on v. What is undefined passes through all but default.
func (r *rendering) chain(v any, calls []filterCall, lenient bool) (any, error) {
	for i, call := range calls {
		isDefault := call.name == filterDefault
		if isMissing := v == nil && isDefault || v == (undefined{}); isMissing != isDefault {
			continue
		}
		var arg any
		var err error
		if call.arg != nil {
			if arg, err = r.eval(call.arg, lenient || hasDefault(calls[i+1:])); err != nil {
				return nil, err
			}
		}
		if isDefault || arg == (undefined{}) {
			v = arg
			continue
		}
		if v, err = r.apply(call, v, arg); err != nil {
			if r.err != nil {
				return nil, r.err
			}
			return nil, &located{call.offset, fmt.Sprintf("the filter %q %v", call.name, err), err}
		}
	}
	return v, nil
}

// apply runs one filter on a defined value.
func (r *rendering) apply(call filterCall, in, arg any) (any, error) {
	in, err := r.filterInput(call.filter.input, in)
	if err != nil {
		return nil, err
	}
	if call.arg != nil {
		if arg, err = checkArgument(call.filter.arg, arg); err != nil {
			return nil, err
		}
	}
	if call.filter.run != nil {
		return call.filter.run(r, in, arg)
	}
	out, failure := pongo2.ApplyFilter(call.name, pongo2.AsValue(in), pongo2.AsValue(arg))
	if failure != nil {
		// its message would show the argument, which may be a secret
		return nil, fmt.Errorf("does not accept its argument; write it as in |%s:%s", call.name, call.filter.arg.example())
	}
	v, err := r.plain(out.Interface())
	if s, ok := v.(string); ok && err == nil {
		if err = r.fits(len(s)); err == nil {
			err = r.spend(len(s))
		}
	}
	return v, err
}

// filterInput brings the input of a filter into the form that it takes, and accounts for its size.
func (r *rendering) filterInput(k kind, v any) (any, error) {
	switch k {
	case kindAny:
		return v, nil
	case kindNumber:
		if _, ok := toFloat(v); ok {
			return v, nil
		}
		return nil, fmt.Errorf("needs a number, not %s; |integer and |float make a number of a string", kindOf(v))
	case kindSequence, kindSized:
		switch v := v.(type) {
		case []any:
			return v, r.spend(len(v))
		case map[string]any:
			if k == kindSized {
				return v, nil
			}
			return nil, fmt.Errorf("needs a list or a string, not %s", kindOf(v))
		case string:
		default:
			return nil, fmt.Errorf("needs a list or a string, not %s", kindOf(v))
		}
	}
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	return s, r.spend(len(s))
}

func checkArgument(a argument, v any) (any, error) {
	switch a.kind {
	case argText:
		return text(v)
	case argInteger:
		n, ok := v.(int64)
		if !ok || n < a.min || n > a.max {
			return nil, fmt.Errorf("needs an integer from %d to %d as its argument", a.min, a.max)
		}
	}
	return v, nil
}
