package template

import (
	"regexp"

	"github.com/flosch/pongo2/v6"
)

var betweenTags = regexp.MustCompile(`>[ \t\n\v\f\r]+<`)

func printValue(r *rendering, t *tag, w pongo2.TemplateWriter) error {
	v, err := r.value(t.exprs[0])
	if err != nil {
		return err
	}
	return r.print(v, w)
}

func (r *rendering) print(v any, w pongo2.TemplateWriter) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	_, err = w.WriteString(s)
	return err
}

// printFirst prints the first value that is true.
func printFirst(r *rendering, t *tag, w pongo2.TemplateWriter) error {
	for _, e := range t.exprs {
		v, err := r.eval(e, true)
		if err != nil {
			return err
		}
		if truth(v) {
			return r.print(v, w)
		}
	}
	return nil
}

func setName(r *rendering, t *tag, _ pongo2.TemplateWriter) error {
	v, err := r.value(t.exprs[0])
	if err == nil {
		r.bind(t.names[0], v)
	}
	return err
}

func runWith(r *rendering, t *tag, b body, w pongo2.TemplateWriter) error {
	values := make([]any, len(t.exprs))
	for i, e := range t.exprs {
		var err error
		if values[i], err = r.value(e); err != nil {
			return err
		}
	}
	return r.scope(func() error {
		for i, v := range values {
			r.bind(t.names[i], v)
		}
		return b(w)
	})
}

func runFilter(r *rendering, t *tag, b body, w pongo2.TemplateWriter) error {
	inner := &output{budget: r.budget}
	if err := b(inner); err != nil {
		return err
	}
	v, err := r.chain(string(inner.text), t.filters, false)
	if err != nil {
		return err
	}
	return r.print(v, w)
}

// runSpaceless removes the blanks between ">" and "<".
func runSpaceless(r *rendering, _ *tag, b body, w pongo2.TemplateWriter) error {
	inner := &output{budget: r.budget}
	if err := b(inner); err != nil {
		return err
	}
	if err := r.spend(8 * len(inner.text)); err != nil {
		return err
	}
	_, err := w.Write(betweenTags.ReplaceAll(inner.text, []byte("><")))
	return err
}
