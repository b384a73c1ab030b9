package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/workflow"
)

// inputFlags are how a task's input is given on the command line.
type inputFlags struct {
	input     string
	inputFile string
	fields    []string
	sets      []string
}

func (f *inputFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.input, "input", "", "input as a JSON object, or a file with one; - reads standard input")
	flags.StringVar(&f.inputFile, "input-file", "", "file with the input as a JSON object; - reads standard input")
	flags.StringArrayVarP(&f.fields, "field", "f", nil, "one input as key=value, converted to the type that the task declares; repeatable")
	flags.StringArrayVarP(&f.sets, "set", "i", nil, "the same as --field")
	cmd.MarkFlagsMutuallyExclusive("input", "input-file")
}

// read gathers the input from the flags; fields win over the object. types, which gives the types of the task's inputs
// by name, is called only if they are needed.
func (f *inputFlags) read(types func() (map[string]string, error)) (map[string]any, error) {
	input := map[string]any{}
	document, err := f.document()
	if err != nil {
		return nil, err
	}
	if len(document) > 0 {
		if err := json.Unmarshal(document, &input); err != nil || input == nil {
			return nil, errors.New("Invalid JSON input: it has to be an object, like {\"name\": \"value\"}") //nolint:staticcheck // the contract's words
		}
	}
	fields := slices.Concat(f.fields, f.sets)
	if len(fields) == 0 {
		return input, nil
	}
	declared, err := types()
	if err != nil {
		return nil, err
	}
	for _, field := range fields {
		key, text, found := strings.Cut(field, "=")
		if !found || key == "" {
			return nil, &exitError{exitUsage, fmt.Errorf("--field %q: write it as key=value", field)}
		}
		value, err := workflow.ConvertInput(declared[key], text)
		if err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("--field %s: %w", key, err)}
		}
		input[key] = value
	}
	return input, nil
}

// document is the whole input as it was given, "" if it was not.
func (f *inputFlags) document() ([]byte, error) {
	file := f.inputFile
	if text := strings.TrimSpace(f.input); file == "" {
		if text == "" || strings.ContainsAny(text[:1], "{[\"") { // no file is called so
			return []byte(text), nil
		}
		file = f.input
	}
	if file == "-" {
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // named by the user
	if err != nil {
		return nil, fmt.Errorf("read the input: %w", err)
	}
	return data, nil
}
