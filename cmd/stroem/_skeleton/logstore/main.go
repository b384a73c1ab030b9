// Logstore-example.skeleton keeps the logs of finished jobs.
package main

import "github.com/stroem/stroem/pluginapi"

func main() { pluginapi.Serve(&store{}) }
