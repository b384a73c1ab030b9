package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stroem/stroem/core/client"
)

// logOptions are the flags of logs.
type logOptions struct {
	query                      client.LogQuery
	since, until, grep, regexp string
	follow, raw                bool
	download                   string // file
}

// prepare makes the query of the flags, and refuses those that do not go together.
func (o *logOptions) prepare(now time.Time) (err error) {
	if o.query.Since, err = timeAgo("--since", o.since, now); err != nil {
		return err
	}
	if o.query.Until, err = timeAgo("--until", o.until, now); err != nil {
		return err
	}
	o.query.Q, o.query.Regexp = o.grep, false
	if o.regexp != "" {
		o.query.Q, o.query.Regexp = o.regexp, true
	}
	narrowed := o.query.Q != "" || o.query.Stream != "" || !o.query.Since.IsZero() || !o.query.Until.IsZero()
	switch {
	case o.grep != "" && o.regexp != "":
		err = errors.New("--grep and --regexp are two ways to search: use one of them")
	case o.query.IgnoreCase && o.query.Q == "":
		err = errors.New("--ignore-case is for --grep and --regexp")
	case o.query.Stream != "" && o.query.Stream != "stdout" && o.query.Stream != "stderr":
		err = fmt.Errorf("--stream is %q: it has to be stdout or stderr", o.query.Stream)
	case o.query.Tail < 0:
		err = errors.New("--tail has to be a number of lines")
	case o.follow && narrowed:
		err = errors.New("--follow shows all lines as they come: leave out --grep, --regexp, --stream, --since and --until, or pipe it into grep")
	case o.download != "" && (o.follow || o.query.Tail > 0):
		err = errors.New("--download is for whole logs: leave out --follow and --tail")
	}
	if err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

// downloadLog writes a log to a file, which is there when all of it is.
func (a *app) downloadLog(ctx context.Context, c *client.Client, job string, o *logOptions) error {
	stored := o.raw || a.out.structured()
	if o.download == "-" {
		return c.DownloadLogs(ctx, job, o.query, stored, a.out.w)
	}
	file, err := os.CreateTemp(filepath.Dir(o.download), ".stroem-log-*")
	if err != nil {
		return fmt.Errorf("create file for the log: %w", err)
	}
	err = c.DownloadLogs(ctx, job, o.query, stored, file)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), o.download)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
