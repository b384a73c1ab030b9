// Source-git brings workspaces from git repositories, over https and ssh.
package main

import "github.com/stroem/stroem/pluginapi"

// version is set by the linker in a release.
var version string

func main() { pluginapi.Serve(newSource(pluginapi.NewLogger())) }
