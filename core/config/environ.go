package config

import (
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix  = "STROEM__"
	fileSuffix = "_FILE"
)

// overlay writes the variables of environ into the tree, as plain scalars, and remembers which variable each came from.
func overlay(root *yaml.Node, environ []string, from map[*yaml.Node]string, p *problems) {
	variables := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" {
			variables[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		value := variables[name]
		key, isFile := strings.CutSuffix(name, fileSuffix)
		if isFile {
			if _, both := variables[key]; both {
				p.addAt(place{variable: name}, "", "%s is set as well; unset one of the two", key)
				continue
			}
			content, err := os.ReadFile(value) //nolint:gosec // the operator names the file
			if err != nil {
				p.addAt(place{variable: name}, "", "read the value from a file: %v", err)
				continue
			}
			value = strings.TrimRight(string(content), "\r\n")
		}
		set(root, strings.Split(strings.TrimPrefix(key, envPrefix), "__"), value, name, from, p)
	}
}

// set puts value at path below node, making sections as needed.
func set(node *yaml.Node, path []string, value, variable string, from map[*yaml.Node]string, p *problems) {
	for i, name := range path {
		if name == "" {
			p.addAt(place{variable: variable}, "", "two underscores separate levels; a name between them is missing")
			return
		}
		child := lookup(node, name)
		if child == nil {
			child = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
			key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ToLower(name)}
			from[key], from[child] = variable, variable
			node.Content = append(node.Content, key, child)
		}
		if i == len(path)-1 {
			*child = yaml.Node{Kind: yaml.ScalarNode, Value: value}
			from[child] = variable
			return
		}
		if child.Kind == yaml.AliasNode { // a section used twice: change it here only
			*child = yaml.Node{Kind: yaml.MappingNode, Content: slices.Clone(child.Alias.Content), Line: child.Line, Column: child.Column}
		}
		if child.Tag == "!!null" {
			*child = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: child.Line, Column: child.Column}
		}
		if child.Kind != yaml.MappingNode {
			p.addAt(place{variable: variable}, "", "%s is not a section, so nothing can be set below it",
				strings.ToLower(strings.Join(path[:i+1], ".")))
			return
		}
		node = child
	}
}

// lookup finds the value of the key that a variable calls name.
func lookup(node *yaml.Node, name string) *yaml.Node {
	plain := strings.NewReplacer("-", "_", ".", "_")
	for i := 0; i+1 < len(node.Content); i += 2 {
		if strings.EqualFold(plain.Replace(node.Content[i].Value), name) {
			return node.Content[i+1]
		}
	}
	return nil
}
