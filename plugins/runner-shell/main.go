// Runner-shell runs shell actions on the worker's own machine.
package main

import "github.com/stroem/stroem/pluginapi"

func main() { pluginapi.Serve(newRunner(pluginapi.NewLogger())) }
