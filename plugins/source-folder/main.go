// Source-folder brings workspaces from folders of the server's own machine.
package main

import "github.com/stroem/stroem/pluginapi"

// version is set by the linker in a release.
var version string

func main() { pluginapi.Serve(newSource()) }
