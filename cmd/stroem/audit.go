package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

func (a *app) auditCommand() *cobra.Command {
	var f client.AuditFilter
	var limit int
	var results, since, until string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List who did what, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			now := time.Now()
			if f.Since, err = timeAgo("--since", since, now); err != nil {
				return err
			}
			if f.Until, err = timeAgo("--until", until, now); err != nil {
				return err
			}
			if limit < 0 {
				return &exitError{exitUsage, fmt.Errorf("--limit is %d: it has to be 0, for all, or more", limit)}
			}
			if results != "" {
				f.Results = strings.Split(results, ",")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			entries, err := auditPages(cmd, c, f, limit)
			if err != nil {
				return err
			}
			return a.printAudit(entries)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Actor, "actor", "", "only what this one did: an e-mail, a worker's name, or user, api_key, worker, operator, system, anonymous")
	flags.StringVar(&f.Action, "action", "", `only this action, or those that begin with it: "user."`)
	flags.StringVar(&f.Target, "target", "", "only what was done to this")
	flags.StringVar(&results, "result", "", "only these results, comma-separated: ok, denied, failed")
	flags.StringVar(&since, "since", "", "only what is not older: 24h, 7d, or a time like 2026-01-02T15:04:05Z")
	flags.StringVar(&until, "until", "", "only what is older, as --since")
	flags.IntVar(&limit, "limit", 50, "how many; 0 for all")
	return cmd
}

// auditPages reads up to limit entries, or all for 0.
func auditPages(cmd *cobra.Command, c *client.Client, f client.AuditFilter, limit int) ([]api.AuditEntry, error) {
	const page = 500
	list := []api.AuditEntry{}
	for {
		f.Limit = page
		if limit > 0 {
			f.Limit = min(page, limit-len(list))
		}
		more, _, err := c.Audit(cmd.Context(), f)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
		if len(more) < f.Limit || len(list) == limit {
			return list, nil
		}
		f.Before = more[len(more)-1].ID
	}
}

// timeAgo reads a time, or how long ago it is.
func timeAgo(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, &exitError{exitUsage, fmt.Errorf("%s is %q: it has to be like 30m, 24h, 7d, or a time like 2026-01-02T15:04:05Z", flag, text)}
	}
	return now.Add(-d), nil
}

func (a *app) printAudit(entries []api.AuditEntry) error {
	if a.out.structured() {
		return a.out.document(entries)
	}
	if len(entries) == 0 {
		return a.out.line("Nothing is recorded.")
	}
	rows := make([][]string, len(entries))
	for i, e := range entries {
		rows[i] = []string{
			when(&e.At), oneLine(cmp.Or(e.Actor, e.ActorType)), oneLine(e.Action), dash(oneLine(e.Target)), oneLine(e.Result), orDash(e.RemoteAddress),
			dash(oneLine(detailsText(e.Details))),
		}
	}
	return a.out.table([]string{"AT", "ACTOR", "ACTION", "TARGET", "RESULT", "FROM", "DETAILS"}, rows)
}

// detailsText is details in a row, by key.
func detailsText(details map[string]any) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(details)) {
		value, ok := details[key].(string)
		if !ok {
			document, _ := json.Marshal(details[key]) // it was read from JSON
			value = string(document)
		}
		parts = append(parts, key+"="+value)
	}
	return strings.Join(parts, " ")
}
