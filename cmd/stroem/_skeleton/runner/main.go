// Runner-example.skeleton executes actions of type example.skeleton.
package main

import "github.com/stroem/stroem/pluginapi"

func main() { pluginapi.Serve(&runner{}) }
