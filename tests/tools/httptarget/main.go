// Command httptarget runs the server of package httptarget until it is told to end. Its URL is the line that it prints, as
// `stroem plugin check` wants it of what a file of cases starts.
package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"

	"github.com/stroem/stroem/tests/httptarget"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	server := httptest.NewServer(httptarget.Handler())
	defer server.Close()
	fmt.Println(server.URL)
	<-ctx.Done()
}
