package server

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/logarchive"
	"github.com/stroem/stroem/core/logkeep"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/metrics"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/tally"
)

// archive is that of the logs of finished jobs; nil: they stay where they are.
type archive struct {
	*logkeep.Keeper
	objects *logarchive.Archive
	store   *postgres.Store
}

// archive has the logs go to the log store that the configuration asks for. The caller closes it.
func (s *Server) archive(host *pluginhost.Host, all *logs.Logs, store *postgres.Store, counted *tally.Archive) (*archive, error) {
	plugin, ok := s.logStore(host)
	if !ok {
		return nil, nil
	}
	objects, err := logarchive.New(plugin, filepath.Join(s.config.DataDir, "archived-logs"))
	if err != nil {
		return nil, fmt.Errorf("set up the archive of logs: %w", err)
	}
	keeper := logkeep.New(logkeep.Options{
		Logs: all, Archive: objects, Store: store, Tally: counted, Logger: s.logger,
		Keep: time.Duration(s.config.Retention.LogDays) * 24 * time.Hour, MaxLocal: int64(s.config.LogStorage.MaxLocalBytes),
	})
	return &archive{keeper, objects, store}, nil
}

// configure has the API read logs wherever they are.
func (a *archive) configure(c *httpapi.Config) {
	if a != nil {
		c.Logs = a.Keeper
	}
}

// waiting is what tells how much waits to be archived, nil if nothing does.
func (a *archive) waiting() metrics.Uploads {
	if a == nil {
		return nil
	}
	return a.store
}

func (a *archive) close() error {
	if a == nil {
		return nil
	}
	return a.objects.Close()
}
