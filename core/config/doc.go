// Package config reads the configuration of the server and of the worker: a YAML file, then environment variables over
// it, then defaults for what is left.
//
// A variable STROEM__DB__URL sets the key db.url; STROEM__DB__URL_FILE sets it to the content of a file. Lists are
// separated by commas. In maps with free keys (workspaces, plugins) a variable's name matches an existing key without
// regard to case and with "-" and "." written as "_"; a new key is lower case. An empty variable counts as not set.
//
// Every problem is reported, each with its place: unknown keys, wrong types, values out of range and missing keys.
package config
