package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A databaseError is what the database, or the way to it, said to a statement. What the store itself decides
// is of other types.
type databaseError struct {
	err  error
	lost bool // the connection is gone, or of no use
}

func (e *databaseError) Error() string { return "database: " + e.err.Error() }
func (e *databaseError) Unwrap() error { return e.err }

// ErrUnreachable means that Open could not connect, for a reason that may pass: nobody answers, or the server is starting
// or going down. A wrong password or a database that does not exist are other errors.
var ErrUnreachable = errors.New("the database cannot be reached")

// unreachable says of an attempt to connect what came of it.
func unreachable(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && !strings.HasPrefix(pg.Code, "57P") && pg.Code != "53300" {
		return fmt.Errorf("cannot connect to the database: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// An UnclearError means that the answer to a commit was lost, and that it could not be found out either
// before the store was closed or for half an hour. The change may have been made.
type UnclearError struct{ Err error }

func (e *UnclearError) Error() string {
	return fmt.Sprintf("it is not known whether the change was committed: %v", e.Err)
}

func (e *UnclearError) Unwrap() error { return e.Err }

// kind says what to do about an error.
type kind int

const (
	final   kind = iota // the statement is at fault: repeating it makes no difference
	lost                // the connection is: another may do
	clashed             // other transactions are: repeat
)

func kindOf(err error) kind {
	var d *databaseError
	if !errors.As(err, &d) {
		return final
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if d.lost {
			return lost
		}
		return final
	}
	switch {
	case pg.Code == "40001", pg.Code == "40P01":
		return clashed
	case pg.Severity == "FATAL", pg.Severity == "PANIC", strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"),
		pg.Code == codeReadOnly,
		pg.Code == "53300": // too many connections
		return lost
	}
	if d.lost {
		return lost
	}
	return final
}

// codeReadOnly is what a server says that has become a standby.
const codeReadOnly = "25006"

func readOnly(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == codeReadOnly
}

// endedBy returns the context's error instead of what it made of a statement.
func endedBy(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
