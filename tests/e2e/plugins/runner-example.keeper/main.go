// Runner-example.keeper is a runner for tests whose steps outlive it and its worker: each runs in a session of its own, under a
// process that keeps its output with the times at which it came. With -no-attach it does not take them up again.
package main

import (
	"os"
	"slices"

	"github.com/stroem/stroem/pluginapi"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == keepCommand {
		os.Exit(keep(os.Args[2]))
	}
	pluginapi.Serve(&runner{attachable: !slices.Contains(os.Args, "-no-attach")})
}
