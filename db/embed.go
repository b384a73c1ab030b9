// Package db carries the database migrations, to be run by package postgres when a server starts.
package db

import "embed"

// Migrations holds migrations/*.sql in dbmate's format.
//
//go:embed migrations/*.sql
var Migrations embed.FS
