// Runner-docker runs steps in containers of a Docker engine.
package main

import "github.com/stroem/stroem/pluginapi"

// version is set by the linker in a release.
var version string

func main() { pluginapi.Serve(newRunner(pluginapi.NewLogger())) }
