// Source-folder brings workspaces from folders of the server's own machine.
package main

import "github.com/stroem/stroem/pluginapi"

func main() { pluginapi.Serve(newSource()) }
