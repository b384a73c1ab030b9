package coretest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// PlainColumns is all that a test's schema holds, but for columns that are called …_sealed: each value as text, and what is
// binary as text, too, where it is some. Tests look in it for what must not be there.
func PlainColumns(t *testing.T, url string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	rows, err := conn.Query(t.Context(), `select table_name, column_name, data_type = 'bytea' from information_schema.columns
		where table_schema = current_schema() and column_name not like '%\_sealed' order by table_name, ordinal_position`)
	require.NoError(t, err)
	type column struct {
		Table, Name string
		Binary      bool
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(t, err)
	require.NotEmpty(t, columns)
	var all strings.Builder
	for _, c := range columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		text := name + "::text"
		if c.Binary {
			text = "encode(" + name + ", 'escape')"
		}
		rows, err := conn.Query(t.Context(), "select "+text+" from "+pgx.Identifier{c.Table}.Sanitize()+" where "+name+" is not null")
		require.NoError(t, err)
		values, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, value := range values {
			_, _ = fmt.Fprintf(&all, "%s.%s: %s\n", c.Table, c.Name, value)
		}
	}
	return all.String()
}
