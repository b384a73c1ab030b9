package postgres

import (
	"context"
	"fmt"
	"slices"
)

// Route returns the number of a set of required tags, sorted; it stays the same for ever.
func (s *Store) Route(ctx context.Context, tags []string) (int, error) {
	var id int
	err := s.read.QueryRow(ctx, `
		with found as (select route_id from route where tags = $1),
		     added as (insert into route (tags) select $1 where not exists (select from found)
		               on conflict (tags) do update set tags = excluded.tags returning route_id)
		select route_id from found union all select route_id from added`, tags).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("intern the tags %v: %w", tags, err)
	}
	return id, nil
}

// Routes returns all known routes with their tags, sorted.
func (s *Store) Routes(ctx context.Context) (map[int][]string, error) {
	rows, err := s.read.Query(ctx, "select route_id, tags from route")
	if err != nil {
		return nil, fmt.Errorf("load routes: %w", err)
	}
	defer rows.Close()
	routes := map[int][]string{}
	for rows.Next() {
		var id int
		var tags []string
		if err := rows.Scan(&id, &tags); err != nil {
			return nil, fmt.Errorf("load routes: %w", err)
		}
		slices.Sort(tags)
		routes[id] = tags
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load routes: %w", err)
	}
	return routes, nil
}

// Definition returns the body stored under hash.
func (s *Store) Definition(ctx context.Context, hash []byte) ([]byte, error) {
	var body []byte
	err := s.read.QueryRow(ctx, "select body from task_definition where hash = $1", hash).Scan(&body)
	if err != nil {
		return nil, notFound(fmt.Errorf("load a task definition: %w", err), "Task definition not found")
	}
	return body, nil
}
