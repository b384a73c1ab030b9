// Package workflow turns a workspace's YAML files into a [core.Workspace] and says what is wrong with them.
//
// [Load] reads a file tree, [Parse] one file. Both report every problem at once, each with file, line, column and, where
// a name is close to another, a suggestion. The shape of the YAML is held in tables (shape_*.go) from which decoding and
// the JSON Schema for editors both follow; the rules that go across objects and files are in check_*.go.
//
// The package is pure: it sees files only through an fs.FS and decrypts only through a function that it is handed.
package workflow
