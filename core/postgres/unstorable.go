package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// unstorableError is a value that the database cannot hold, such as a number beyond its range.
type unstorableError struct{ *pgconn.PgError }

// UnstorableValue marks the error: to try again would not help.
func (unstorableError) UnstorableValue() {}

func (e unstorableError) Unwrap() error { return e.PgError }

// dataError marks the errors of SQLSTATE class 22, data exceptions.
func dataError(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pgErr.Code, "22") {
		return unstorableError{pgErr}
	}
	return err
}
