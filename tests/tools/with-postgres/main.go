// Command with-postgres runs a command with a PostgreSQL server of its own.
//
//	with-postgres [--durable] COMMAND [ARGUMENT …]
//
// The server's address is in STROEM_TEST_DATABASE_URL. It ends with the command, whatever happens. If the variable is
// set already, the command runs with that server.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pgserver"
	"github.com/stroem/stroem/tests/tools/internal/alongside"
)

func main() {
	durable := flag.Bool("durable", false, "keep fsync on")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: with-postgres [--durable] COMMAND [ARGUMENT …]")
		os.Exit(2)
	}
	alongside.Main("with-postgres", func(ctx context.Context) (int, error) { return run(ctx, *durable, flag.Args()) })
}

func run(ctx context.Context, durable bool, args []string) (int, error) {
	if os.Getenv(coretest.DatabaseURL) != "" {
		return alongside.Run(ctx, args)
	}
	dir, err := os.MkdirTemp("", "stroem-test-")
	if err != nil {
		return 1, fmt.Errorf("create a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	settings := map[string]string{"max_connections": "300", "shared_buffers": "256MB"}
	if !durable {
		settings["fsync"], settings["full_page_writes"] = "off", "off"
	}
	server, err := pgserver.Start(ctx, pgserver.Options{Dir: dir, Settings: settings})
	if err != nil {
		return 1, err
	}
	defer server.Stop()
	return alongside.Run(ctx, args, coretest.DatabaseURL+"="+server.URL())
}
