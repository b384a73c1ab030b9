package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// pluginDescription is what a plugin says about itself, as JSON.
type pluginDescription struct {
	Path           string              `json:"path"`
	Kind           pluginapi.Kind      `json:"kind"`
	Name           string              `json:"name"`
	Version        string              `json:"version"`
	ConfigSchema   json.RawMessage     `json:"config_schema,omitempty"`
	SettingsSchema json.RawMessage     `json:"settings_schema,omitempty"`
	ActionTypes    []actionDescription `json:"action_types,omitempty"`
}

type actionDescription struct {
	Name       string                     `json:"name"`
	Runner     string                     `json:"runner,omitempty"`
	Tag        string                     `json:"tag"`
	Workspace  pluginapi.WorkspaceMode    `json:"workspace,omitempty"`
	Attachable bool                       `json:"attachable"`
	SpecSchema json.RawMessage            `json:"spec_schema,omitempty"`
	Examples   map[string]json.RawMessage `json:"examples,omitempty"`
}

func (a *app) pluginDescribeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "describe BINARY [-- ARGS]",
		Short: "Show what a plugin says about itself",
		Long: `describe starts a plugin, asks what it is, and ends it: its kind, name and version, the keys of its configuration, and
for a runner its action types with the keys of their actions.`,
		Example: "  stroem plugin describe ./runner-acme.demo",
		Args:    binaryWithArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := executable(args[0])
			if err != nil {
				return err
			}
			d, err := plugintest.Describe(cmd.Context(), plugintest.Binary(path, args[1:]...))
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(describeJSON(path, d))
			}
			return a.printDescription(path, d)
		},
	}
}

func describeJSON(path string, d *pluginapi.Description) pluginDescription {
	doc := pluginDescription{
		Path: path, Kind: d.Kind, Name: d.Name, Version: d.Version,
		ConfigSchema: d.ConfigSchema, SettingsSchema: d.SettingsSchema,
	}
	for _, t := range d.ActionTypes {
		action := actionDescription{
			Name: t.Name, Runner: t.Runner, Tag: t.Tag, Workspace: t.Workspace, Attachable: t.Attachable,
			SpecSchema: t.SpecSchema, Examples: map[string]json.RawMessage{},
		}
		for name, spec := range t.Examples.ByName() {
			if len(*spec) > 0 {
				action.Examples[name] = *spec
			}
		}
		doc.ActionTypes = append(doc.ActionTypes, action)
	}
	return doc
}

func (a *app) printDescription(path string, d *pluginapi.Description) error {
	lines := []string{
		"Kind:     " + printable(string(d.Kind)),
		"Name:     " + printable(d.Name),
		"Version:  " + printable(d.Version),
		"File:     " + path,
	}
	if warning := describedAs(path, d); warning != "" {
		lines = append(lines, "          "+a.out.paint("33", printable(warning)))
	}
	if err := a.out.line(strings.Join(lines, "\n")); err != nil {
		return err
	}
	if err := a.printSchema("Configuration", "It has none.", d.ConfigSchema); err != nil {
		return err
	}
	if d.Kind == pluginapi.KindSource {
		if err := a.printSchema("Settings of a workspace", "It has none.", d.SettingsSchema); err != nil {
			return err
		}
	}
	for _, t := range d.ActionTypes {
		if err := a.printSchema(actionTitle(t), "It has no keys.", t.SpecSchema); err != nil {
			return err
		}
	}
	return nil
}

// actionTitle says in a line what an action type is.
func actionTitle(t pluginapi.ActionType) string {
	title := "Actions of type " + t.Name
	if t.Runner != "" {
		title += ", runner " + t.Runner
	}
	workspace := map[pluginapi.WorkspaceMode]string{
		pluginapi.WorkspaceNone: "no workspace", pluginapi.WorkspaceHostDir: "the workspace as a directory",
		pluginapi.WorkspaceDownload: "the workspace as a download",
	}[t.Workspace]
	title += ": need the worker tag " + t.Tag + ", get " + workspace
	if t.Attachable {
		title += ", outlive the plugin"
	}
	return title
}

// schemaNode is the part of a JSON Schema that people read.
type schemaNode struct {
	Type        any                   `json:"type"`
	Enum        []any                 `json:"enum"`
	Description string                `json:"description"`
	Required    []string              `json:"required"`
	Properties  map[string]schemaNode `json:"properties"`
}

func (a *app) printSchema(title, empty string, schema json.RawMessage) error {
	if err := a.out.line("\n" + printable(title)); err != nil {
		return err
	}
	var node schemaNode
	if len(schema) > 0 {
		if err := json.Unmarshal(schema, &node); err != nil {
			return a.out.line("The schema cannot be read: " + printable(err.Error()))
		}
	}
	rows := node.rows("")
	if len(rows) == 0 {
		return a.out.line(empty)
	}
	return a.out.table([]string{"KEY", "TYPE", "REQUIRED", "DESCRIPTION"}, rows)
}

// rows are the keys of an object, what is required first, with those of objects in it below them.
func (n schemaNode) rows(prefix string) [][]string {
	keys := slices.Sorted(maps.Keys(n.Properties))
	slices.SortStableFunc(keys, func(a, b string) int { return n.rank(a) - n.rank(b) })
	var rows [][]string
	for _, key := range keys {
		property := n.Properties[key]
		required := map[int]string{0: "yes", 1: "no"}[n.rank(key)]
		description := strings.Join(strings.Fields(property.Description), " ")
		rows = append(rows, []string{printable(prefix + key), printable(property.kind()), required, printable(description)})
		rows = append(rows, property.rows(prefix+key+".")...)
	}
	return rows
}

func (n schemaNode) rank(key string) int {
	if slices.Contains(n.Required, key) {
		return 0
	}
	return 1
}

// kind says what values a key has.
func (n schemaNode) kind() string {
	switch {
	case len(n.Enum) > 0:
		values := make([]string, len(n.Enum))
		for i, value := range n.Enum {
			values[i] = fmt.Sprint(value)
		}
		return strings.Join(values, "|")
	case n.Type == nil:
		return "any"
	default:
		return strings.Trim(fmt.Sprint(n.Type), "[]")
	}
}
