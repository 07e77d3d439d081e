package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
)

// runDirect takes a step on the driver's own connection: it must be one that takes statements
// without preparing them, and gives int64, float64, bool, []byte, string, time.Time and nil. For
// each row of a history of a metric, database/sql takes locks, a context and reflection, together a
// third of the time.
func runDirect(ctx context.Context, tx *Tx, s step) error {
	c := connection{tx}

	ctx, err := c.statementContext(ctx)
	if err != nil {
		return err
	}
	query := tx.db.rebind(s.Query)
	c.echo(query)
	args, err := namedValues(s.Args)
	if err != nil {
		return err
	}

	return tx.conn.Raw(func(driverConn any) error {
		if s.row == nil && (s.affected != nil || len(args) == 0) {
			return execDirect(ctx, driverConn.(driver.ExecerContext), query, args, s) //nolint:forcetypeassert // see above
		}

		// SQLite's driver binds the values of a query in one call of C's, those of a statement in one each. A
		// statement has run when its query begins.
		return queryDirect(ctx, driverConn.(driver.QueryerContext), query, args, s) //nolint:forcetypeassert // see above
	})
}

func execDirect(ctx context.Context, conn driver.ExecerContext, query string, args []driver.NamedValue, s step) error {
	result, err := conn.ExecContext(ctx, query, args)
	if err == nil && s.affected != nil {
		*s.affected, err = result.RowsAffected()
	}

	return err
}

func queryDirect(
	ctx context.Context, conn driver.QueryerContext, query string, args []driver.NamedValue, s step,
) (err error) {
	rows, err := conn.QueryContext(ctx, query, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		return nil
	}
	values := make([]driver.Value, len(rows.Columns()))
	scan := func(dest ...any) error {
		if len(dest) != len(values) {
			return fmt.Errorf("%w: %d columns for %d destinations", errScan, len(values), len(dest))
		}
		for i, value := range values {
			if err := assign(dest[i], value); err != nil {
				return fmt.Errorf("column %d: %w", i, err)
			}
		}

		return nil
	}
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := s.row(scan); err != nil {
			return err
		}
	}
}

// namedValues turns arguments into what drivers take.
func namedValues(args []any) ([]driver.NamedValue, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		switch arg.(type) {
		case nil, string, int64, float64, bool:
		default:
			var err error
			if arg, err = driver.DefaultParameterConverter.ConvertValue(arg); err != nil {
				return nil, fmt.Errorf("argument %d: %w", i, err)
			}
		}
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}

	return named, nil
}

// errScan is a value that doesn't fit where it is wanted.
var errScan = errors.New("can't scan")

// assign stores a driver's value, as Scan of database/sql does where no meaning is lost.
func assign(dest any, value driver.Value) error {
	switch d := dest.(type) {
	case *string:
		if s, ok := value.(string); ok {
			*d = s

			return nil
		}
	case **string:
		if s, ok := value.(string); ok {
			*d = &s

			return nil
		}
	case *int64:
		if n, ok := value.(int64); ok {
			*d = n

			return nil
		}
	case *float64:
		if f, ok := value.(float64); ok {
			*d = f

			return nil
		}
	case *bool:
		if b, ok := value.(bool); ok {
			*d = b

			return nil
		}
	case sql.Scanner:
		return d.Scan(value)
	}

	return assignAny(reflect.ValueOf(dest).Elem(), value)
}

// assignAny is assign for the rarer pairs.
func assignAny(target reflect.Value, value driver.Value) error {
	switch source := reflect.ValueOf(value); {
	case value == nil:
		return assignNull(target)
	case target.Kind() == reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))

		return assign(target.Interface(), value)
	case source.Type().AssignableTo(target.Type()), isText(target) && isText(source):
		target.Set(source.Convert(target.Type()))
	case source.CanInt() && assignInt(target, source.Int()):
	case source.CanFloat() && target.CanFloat():
		target.SetFloat(source.Float())
	case source.CanFloat() && source.Float() == math.Trunc(source.Float()) && assignInt(target, int64(source.Float())):
	default:
		return fmt.Errorf("%w %T into %s", errScan, value, target.Type())
	}

	return nil
}

func assignNull(target reflect.Value) error {
	switch target.Kind() { //nolint:exhaustive // no other can be nil
	case reflect.Pointer, reflect.Interface, reflect.Slice:
		target.SetZero()

		return nil
	default:
		return fmt.Errorf("%w NULL into %s", errScan, target.Type())
	}
}

// assignInt says whether a whole number fits.
func assignInt(target reflect.Value, value int64) bool {
	switch {
	case target.CanInt() && !target.OverflowInt(value):
		target.SetInt(value)
	case target.CanFloat():
		target.SetFloat(float64(value))
	case target.Kind() == reflect.Bool:
		target.SetBool(value != 0)
	default:
		return false
	}

	return true
}

// isText knows strings and bytes, which are converted into each other.
func isText(v reflect.Value) bool {
	return v.Kind() == reflect.String || v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8
}
