// Runner-http is an example of a runner plugin. It offers one action type, example.http_request, whose steps send an HTTP
// request and put out the response.
package main

import "github.com/stroem/stroem/pluginapi"

func main() { pluginapi.Serve(newRunner(pluginapi.NewLogger())) }
