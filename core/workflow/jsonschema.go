package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/stroem/stroem/core"
)

//go:generate go test -run TestSchemaFile -update .

// JSONSchema is the schema of a workflow file, for editors. It follows from the tables by which files are read, and
// knows what a schema can know: no references, templates, cron or cycles. It is draft 7, which every editor understands.
func JSONSchema() ([]byte, error) {
	root := objectSchema(workspaceKeys)
	root.Schema = "http://json-schema.org/draft-07/schema#"
	root.Title = "Workflow file"
	root.Type, root.Types = "", []string{"object", "null"} // an empty file is valid
	root.PatternProperties = map[string]*jsonschema.Schema{"^" + extension: {}}
	root.Defs = map[string]*jsonschema.Schema{
		"input":    inputField.schema,
		"step":     step.schema,
		"hook":     hook.schema,
		"task":     task.schema,
		"duration": duration.schema,
		"secrets":  secrets.schema,
		"secret":   secretSchema,
		"action":   actionSchema(),
		"trigger": byType([]key[core.Trigger]{triggerType}, map[string]*jsonschema.Schema{
			triggerScheduler: ref("scheduler"), triggerWebhook: ref("webhook"),
		}),
		"scheduler":     objectSchema(schedulerKeys),
		"webhook":       objectSchema(webhookKeys),
		"action-plugin": pluginSchema(),
	}
	for _, k := range builtinKeys {
		root.Defs[definitionName(k)] = specActionSchema(k)
	}
	document, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(document, '\n'), nil
}

func ref(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }

func definitionName(k specKey) string {
	return "action-" + strings.TrimSuffix(k.actionType+"-"+k.runner, "-")
}

// objectSchema is the schema of a map with these keys and no others.
func objectSchema[T any](keys []key[T]) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: never()}
	for _, k := range keys {
		property := *k.schema
		property.Description = k.doc
		if k.needed {
			s.Required = append(s.Required, k.name)
			property.Types = slices.DeleteFunc(slices.Clone(property.Types), func(t string) bool { return t == "null" })
			property.Enum = slices.DeleteFunc(slices.Clone(property.Enum), func(v any) bool { return v == nil })
		}
		s.Properties[k.name] = &property
		s.PropertyOrder = append(s.PropertyOrder, k.name)
	}
	return s
}

// never is the schema that nothing fits, which is written as false.
func never() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

// byType is the schema of a map that fits another schema for each value of its key type.
func byType[T any](typeKey []key[T], variants map[string]*jsonschema.Schema) *jsonschema.Schema {
	s := objectSchema(typeKey)
	s.AdditionalProperties = nil
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		s.AllOf = append(s.AllOf, &jsonschema.Schema{
			If: &jsonschema.Schema{
				Required:   []string{"type"},
				Properties: map[string]*jsonschema.Schema{"type": {Const: new(any(name))}},
			},
			Then: variants[name],
		})
	}
	return s
}

func actionSchema() *jsonschema.Schema {
	typeKey := actionKeys[0]
	typeKey.schema = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Enum: []any{core.TypeShell, core.TypeDocker, core.TypePod, core.TypeTask}},
		{Type: "string", Pattern: core.VendorTypePattern},
	}}
	variants := map[string]*jsonschema.Schema{}
	for _, k := range builtinKeys {
		if k.runner == "" {
			variants[k.actionType] = ref(definitionName(k))
		}
	}
	s := byType([]key[core.Action]{typeKey}, variants)
	for _, k := range builtinKeys {
		if k.runner == "" {
			continue
		}
		runner := &jsonschema.Schema{Const: new(any(k.runner))}
		condition := &jsonschema.Schema{Required: []string{"type", "runner"}}
		if k.runner == core.RunnerLocal { // also where runner is left out
			runner = &jsonschema.Schema{Enum: []any{core.RunnerLocal, nil}}
			condition.Required = []string{"type"}
		}
		condition.Properties = map[string]*jsonschema.Schema{"type": {Const: new(any(k.actionType))}, "runner": runner}
		s.AllOf = append(s.AllOf, &jsonschema.Schema{If: condition, Then: ref(definitionName(k))})
	}
	s.AllOf = append(s.AllOf, &jsonschema.Schema{
		If: &jsonschema.Schema{
			Required:   []string{"type"},
			Properties: map[string]*jsonschema.Schema{"type": {Type: "string", Pattern: `\.`}},
		},
		Then: ref("action-plugin"),
	})
	s.Properties["runner"] = &jsonschema.Schema{Enum: []any{core.RunnerLocal, core.RunnerDocker, core.RunnerPod, nil}}
	return s
}

// commonKeys are the keys that actions of a type have besides those of the type's schema.
func commonKeys(k specKey) []key[core.Action] {
	return slices.DeleteFunc(slices.Clone(actionKeys), func(one key[core.Action]) bool {
		return one.name == "runner" && k.actionType != core.TypeShell || one.name == "task" && k.actionType != core.TypeTask
	})
}

// specActionSchema is the schema of the built-in actions of a type, with common keys and those of the type.
func specActionSchema(k specKey) *jsonschema.Schema {
	s, spec := objectSchema(commonKeys(k)), builtinSpecs()[k].schema
	s.Title, s.OneOf, s.AnyOf = spec.Title, spec.OneOf, spec.AnyOf
	s.Required = slices.Concat(s.Required, spec.Required)
	for _, name := range slices.Sorted(maps.Keys(spec.Properties)) {
		s.Properties[name] = textual(spec.Properties[name])
		s.PropertyOrder = append(s.PropertyOrder, name)
	}
	if k.actionType == core.TypeTask {
		s.Required = append(s.Required, "task")
	}
	return s
}

func pluginSchema() *jsonschema.Schema {
	s := objectSchema(commonKeys(specKey{}))
	s.Title, s.AdditionalProperties = "Action of a type that a plugin offers", nil
	s.Properties["runner"], s.Properties["task"] = never(), never()
	return s
}

// textual is a schema that takes any scalar where the given one wants a string, as the reader does.
func textual(s *jsonschema.Schema) *jsonschema.Schema {
	s = s.CloneSchemas()
	if s.Type == "string" {
		s.Type, s.Types = "", []string{"string", "number", "boolean"}
	}
	if s.Items != nil {
		s.Items = textual(s.Items)
	}
	for name, property := range s.Properties {
		s.Properties[name] = textual(property)
	}
	return s
}
