package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// ActionTypes returns all action types that were ever described, by name and runner.
func (s *Store) ActionTypes(ctx context.Context) ([]core.ActionType, error) {
	rows, err := s.read.Query(ctx, `select name, runner, tag, workspace, attachable, spec_schema, plugin, plugin_version, changed_at
		from action_type order by name, runner`)
	if err != nil {
		return nil, fmt.Errorf("list action types: %w", err)
	}
	types, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t core.ActionType, err error) {
		var schema *string
		err = row.Scan(&t.Name, &t.Runner, &t.Tag, &t.Workspace, &t.Attachable, &schema, &t.Plugin, &t.PluginVersion, &t.ChangedAt)
		if schema != nil {
			t.SpecSchema = json.RawMessage(*schema)
		}
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("list action types: %w", err)
	}
	return types, nil
}

// saveActionTypes stores what is new, and tells all replicas if anything is. Rows are written in one order, so that
// workers that register at the same time do not lock each other out.
func saveActionTypes(ctx context.Context, tx pgx.Tx, types []core.ActionType) error {
	if len(types) == 0 {
		return nil
	}
	rows := make([]actionTypeRow, len(types))
	for i, t := range types {
		rows[i] = actionTypeRow{t.Name, t.Runner, t.Tag, t.Workspace, t.Attachable, nil, t.Plugin, t.PluginVersion}
		if len(t.SpecSchema) > 0 {
			schema := string(t.SpecSchema)
			rows[i].SpecSchema = &schema
		}
	}
	document, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode action types: %w", err)
	}
	tag, err := tx.Exec(ctx, `insert into action_type as t (name, runner, tag, workspace, attachable, spec_schema, plugin, plugin_version)
		select name, runner, tag, workspace, attachable, spec_schema, plugin, plugin_version from json_to_recordset($1) as given
			(name text, runner text, tag text, workspace text, attachable boolean, spec_schema text, plugin text, plugin_version text)
		order by name, runner
		on conflict (name, runner) do update set tag = excluded.tag, workspace = excluded.workspace, attachable = excluded.attachable,
			spec_schema = excluded.spec_schema, plugin = excluded.plugin, plugin_version = excluded.plugin_version, changed_at = now()
		where (t.tag, t.workspace, t.attachable, t.spec_schema, t.plugin, t.plugin_version) is distinct from
			(excluded.tag, excluded.workspace, excluded.attachable, excluded.spec_schema, excluded.plugin, excluded.plugin_version)`, document)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	_, err = tx.Exec(ctx, "select pg_notify("+channel+", $1)", string(typesChanged))
	return err
}

type actionTypeRow struct {
	Name          string  `json:"name"`
	Runner        string  `json:"runner"`
	Tag           string  `json:"tag"`
	Workspace     string  `json:"workspace"`
	Attachable    bool    `json:"attachable"`
	SpecSchema    *string `json:"spec_schema"`
	Plugin        string  `json:"plugin"`
	PluginVersion string  `json:"plugin_version"`
}
