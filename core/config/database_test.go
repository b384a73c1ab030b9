package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
)

func TestDatabaseAlone(t *testing.T) {
	t.Parallel()
	const url = "postgres://u:p@db/stroem"
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    config.DB
	}{
		"from the environment": {"", []string{"STROEM__DB__URL=" + url}, config.DB{URL: url, MaxConnections: 10, Timeout: 15 * time.Second}},
		"from a file": {
			"db: {url: '" + url + "', timeout_secs: 3}", nil, config.DB{URL: url, MaxConnections: 10, Timeout: 3 * time.Second},
		},
		"what else there is does not count": {
			"listen: nowhere\nwhat: [1]\nauth: 7\ndb: {url: '" + url + "'}",
			[]string{"STROEM__AUTH__JWT_SECRET_FILE=/none", "STROEM__DB__MAX_CONNECTIONS=4"},
			config.DB{URL: url, MaxConnections: 4, Timeout: 15 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.LoadDatabase(write(t, c.file), c.environ)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for name, c := range map[string]struct {
		file, problem string
		environ       []string
	}{
		"nothing":          {"", "db.url: is required; set it in the file or as STROEM__DB__URL", nil},
		"another key":      {"db: {url: x, ulr: y}", "db.ulr: unknown key", nil},
		"not a section":    {"db: 7", "db: must be a section of keys", nil},
		"too few":          {"db: {url: x, max_connections: 1}", "db.max_connections", nil},
		"no such file":     {"", "/none", []string{"STROEM__DB__URL_FILE=/none"}},
		"not a YAML file":  {"db: [", "not valid YAML", nil},
		"not a time":       {"db: {url: x, timeout_secs: 0}", "db.timeout_secs", nil},
		"a scalar on top":  {"7", "must be a section of keys", nil},
		"a section twice":  {"db: {url: x}\ndb: {url: y}", "stands here twice", nil},
		"below a variable": {"", "is not a section", []string{"STROEM__DB__URL=x", "STROEM__DB__URL__X=y"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.LoadDatabase(write(t, c.file), c.environ)
			require.ErrorContains(t, err, c.problem)
		})
	}
}
