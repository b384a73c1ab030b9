package workflow

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
)

var inputFieldKeys = []key[core.InputField]{
	field("type", "Type of the value.", oneOf("input type", inputTypes...), func(f *core.InputField) *string { return &f.Type }).required(),
	field("required", "The input has to be given.", boolean, func(f *core.InputField) *bool { return &f.Required }),
	field("default", "Value if none is given. Text may be a template over secret.", free, func(f *core.InputField) *any { return &f.Default }),
	field("description", "What the input is for; shown in forms and messages.", text, func(f *core.InputField) *string { return &f.Description }),
	field("enum", "The values that are allowed.", freeList, func(f *core.InputField) *[]any { return &f.Enum }),
	field("secret", "The value is masked in logs and answers.", boolean, func(f *core.InputField) *bool { return &f.Secret }),
}

// inputField is the declaration of an input, whose default and enum have to be of its type.
var inputField = checked(object("an input field", inputFieldKeys...), func(r *reader, n *yaml.Node, f *core.InputField) {
	if !slices.Contains(inputTypes, f.Type) {
		return // reported
	}
	at := func(name string) *yaml.Node { return child(n, name) }
	for i, value := range f.Enum {
		if err := checkType(f.Type, value); err != nil {
			r.errorf(child(at("enum"), i), "this enum value %s", err)
		}
	}
	if text, isText := f.Default.(string); f.Default == nil || isText && template.HasTemplate(text) {
		return
	}
	if _, err := fieldValue(core.InputField{Type: f.Type, Enum: f.Enum}, f.Default, InputOptions{Convert: true}); err != nil {
		r.errorf(at("default"), "the default %s", err)
	}
})

// checked adds a check to a shape, for what concerns several keys.
func checked[T any](s shape[T], check func(r *reader, n *yaml.Node, value *T)) shape[T] {
	read := s.read
	s.read = func(r *reader, n *yaml.Node) T {
		value := read(r, n)
		if n.Kind == yaml.MappingNode {
			check(r, n, &value)
		}
		return value
	}
	return s
}

// child is the node behind a key or index, or n itself if there is none.
func child(n *yaml.Node, step any) *yaml.Node {
	n = resolve(n)
	switch step := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return resolve(n.Content[step])
		}
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if resolve(n.Content[i]).Value == step {
				return resolve(n.Content[i+1])
			}
		}
	}
	return n
}
