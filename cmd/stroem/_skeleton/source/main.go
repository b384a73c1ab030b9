// Source-example.skeleton brings workspaces of type example.skeleton.
package main

import "github.com/stroem/stroem/pluginapi"

func main() { pluginapi.Serve(&source{}) }
