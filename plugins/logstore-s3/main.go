// Logstore-s3 keeps logs in a bucket of Amazon S3, or of a service that speaks like it.
package main

import "github.com/stroem/stroem/pluginapi"

// version is set by the linker in a release.
var version string

func main() { pluginapi.Serve(newStore(pluginapi.NewLogger())) }
