package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stroem/stroem/core/api"
)

// AuditFilter selects entries of the audit log; zero fields do not restrict.
type AuditFilter struct {
	Actor   string // a name, or a type of actors
	Action  string // or its beginning, if that ends with a dot
	Target  string
	Results []string
	Since   time.Time
	Until   time.Time
	Before  int64 // only entries with a smaller id
	Limit   int   // 1 to 500; 0 is the server's default
}

// Audit lists entries of the audit log, newest first; total is how many there are, whatever f.Before says, counted up to a
// limit of the server's. The next page is before the last entry's id.
func (c *Client) Audit(ctx context.Context, f AuditFilter) (list []api.AuditEntry, total int, err error) {
	query := limitQuery(f.Limit)
	for key, value := range map[string]string{
		"actor": f.Actor, "action": f.Action, "target": f.Target, "result": strings.Join(f.Results, ","),
	} {
		setUnlessEmpty(query, key, value)
	}
	for key, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(key, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.Before > 0 {
		query.Set("before", strconv.FormatInt(f.Before, 10))
	}
	header, err := c.do(ctx, request{method: http.MethodGet, path: "/api/audit", query: query}, &list)
	if err != nil {
		return nil, 0, err
	}
	total, _ = strconv.Atoi(header.Get("X-Total-Count"))
	return list, total, nil
}

func setUnlessEmpty(query url.Values, key, value string) {
	if value != "" {
		query.Set(key, value)
	}
}
