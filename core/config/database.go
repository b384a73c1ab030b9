package config

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// DB is the connection to PostgreSQL.
type DB struct {
	URL            Secret        `yaml:"url" config:"required"`
	MaxConnections int           `yaml:"max_connections"`
	Timeout        time.Duration `yaml:"timeout_secs"` // for an answer
}

func (c *DB) setDefaults() { c.MaxConnections, c.Timeout = 10, 15*time.Second }

func (c *DB) validate(p *problems) {
	p.min("db.max_connections", c.MaxConnections, 2)
	p.positive("db.timeout_secs", c.Timeout)
}

// LoadDatabase is [LoadServer] for the section db alone, for those who go to the server's database: what else the configuration
// has, or lacks, is not looked at.
func LoadDatabase(path string, environ []string) (DB, error) {
	var c database
	environ = slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return strings.HasPrefix(entry, envPrefix) && !strings.HasPrefix(entry, envPrefix+"DB__")
	})
	err := load(&c, path, ServerFile, environ)
	return c.DB, err
}

// database is a configuration of which one section counts.
type database struct{ DB }

func (c *database) decodeSection(d *decoder, node *yaml.Node, _ string) {
	const section = "db"
	var of *yaml.Node
	keys, values := d.pairs(node, "")
	if at := slices.IndexFunc(keys, func(n *yaml.Node) bool { return n.Value == section }); at >= 0 {
		of = values[at]
	}
	d.decode(of, reflect.ValueOf(&c.DB).Elem(), section)
}

func (c *database) complete(map[string]string) {}
