package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Where the configuration is looked for when no path is given.
const (
	ServerFile = "server-config.yaml"
	WorkerFile = "worker-config.yaml"
)

// validator is a whole configuration: defaults that depend on the environment, then checks across keys.
type validator interface {
	defaulter
	complete(env map[string]string)
	validate(p *problems)
}

// LoadServer reads the server's configuration from the file at path and from environ, which has the form of
// [os.Environ]. An empty path is [ServerFile] in the working directory, which may be missing. A configuration that
// cannot be used is an [*Error] with all problems.
func LoadServer(path string, environ []string) (Server, error) {
	var c Server
	err := load(&c, path, ServerFile, environ)
	return c, err
}

// LoadWorker is [LoadServer] for the worker, with [WorkerFile].
func LoadWorker(path string, environ []string) (Worker, error) {
	var c Worker
	err := load(&c, path, WorkerFile, environ)
	return c, err
}

func load(c validator, path, standard string, environ []string) error {
	asked := path != ""
	if !asked {
		path = standard
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil && (asked || !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("read config: %w", err)
	}
	p := &problems{file: path, places: map[string]place{}}
	root := parse(content, p)
	if err := p.err(); err != nil {
		return err
	}
	d := &decoder{problems: p, from: map[*yaml.Node]string{}}
	overlay(root, environ, d.from, p)
	d.decode(root, reflect.ValueOf(c).Elem(), "")
	c.complete(variables(environ))
	c.validate(p)
	return p.err()
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parse returns the mapping at the top of the only document in content; an empty file is an empty mapping.
func parse(content []byte, p *problems) *yaml.Node {
	empty := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	reader := yaml.NewDecoder(bytes.NewReader(content))
	var document, more yaml.Node
	err := reader.Decode(&document)
	if errors.Is(err, io.EOF) {
		return empty
	}
	if err != nil {
		text := err.Error()
		line := 1 // the library leaves out the first
		if at := yamlLine.FindStringSubmatch(text); at != nil {
			if n, err := strconv.Atoi(at[1]); err == nil {
				line = n
			}
			text = text[len(at[0]):]
		}
		p.addAt(place{line: line, column: 1}, "", "not valid YAML: %s", text)
		return empty
	}
	if err := reader.Decode(&more); !errors.Is(err, io.EOF) {
		p.addAt(place{line: more.Line, column: more.Column}, "", "one document is enough; remove what follows ---")
	}
	root := document.Content[0]
	if root.Tag == "!!null" {
		return empty
	}
	if root.Kind != yaml.MappingNode {
		p.addAt(place{line: root.Line, column: root.Column}, "", "must be a section of keys, not %s", describe(root))
		return empty
	}
	return root
}
