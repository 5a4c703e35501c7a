package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"snowbot/store"
	"snowbot/store/postgres"
)

// checkDatabase opens the store, unless it is a file that the running service has. What is not there yet is not made.
func checkDatabase(ctx context.Context, s *settings) []finding {
	key := func(f finding) finding { f.Check = "encryption key"; return f }
	if err := s.DatabaseURL.check(); err != nil {
		return []finding{failed("DATABASE_URL "+err.Error(), "correct DATABASE_URL"), key(skipped("there is no database to try it on"))}
	}
	if !s.DatabaseURL.isPostgres() && runs(ctx, s) {
		return []finding{ok("in use by the running service"), key(skipped("the running service has the database"))}
	}
	keys, err := store.ParseKeyring(s.DataKey)
	if err != nil {
		return []finding{
			skipped("not opened without a key"),
			key(failed(err.Error(), "make a key with `snowbot keygen`, or set the one the database was made with")),
		}
	}
	db, err := s.DatabaseURL.open(ctx, databaseOptions{keys: keys, log: slog.New(slog.DiscardHandler)})
	var none *noDatabaseError
	var schema *postgres.SchemaError
	switch {
	case errors.As(err, &none):
		return []finding{checkDirectory(none.path), key(ok("a key; there is no database yet that it would have to fit"))}
	case errors.As(err, &schema) && schema.Have == 0:
		return []finding{ok("answers; the tables will be made at the first start"), key(ok("a key; there is no database yet that it would have to fit"))}
	case errors.As(err, &schema) && schema.Have < schema.Want:
		return []finding{ok(fmt.Sprintf("answers; the next start will bring it from schema %d to %d", schema.Have, schema.Want)), key(skipped("tried after that"))}
	case errors.Is(err, store.ErrWrongKey):
		return []finding{ok("is a store of snowbot"), key(failed(err.Error(), "set DATA_ENCRYPTION_KEY to the key the database was made with; new keys go before it, separated by a comma"))}
	case err != nil && s.DatabaseURL.isPostgres():
		return []finding{failed(err.Error(), "check host, port, user, password and sslmode in DATABASE_URL, and that the server lets this machine in"), key(skipped("the database does not open"))}
	case err != nil:
		return []finding{failed(err.Error(), "see above; if a service has the file, run this on its machine with its ADMIN_LISTEN_ADDR"), key(skipped("the database does not open"))}
	}
	what := "opens"
	if path, err := s.DatabaseURL.path(); err == nil {
		what += ": " + path
	}
	detail := what
	if stats, err := db.Stats(ctx); err == nil {
		detail = fmt.Sprintf("%s, %d live sessions, %d dead letters", what, stats.Live, stats.DeadLetters)
	}
	if err := db.Close(); err != nil {
		return []finding{failed(err.Error(), "look at the disk"), key(ok("fits the database"))}
	}
	return []finding{ok(detail), key(ok("fits the database"))}
}

// checkDirectory says whether a database could be made at path.
func checkDirectory(path string) finding {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".snowbot-doctor-*")
	if err != nil {
		return failed("a database cannot be made in "+dir+": "+err.Error(), "make the directory and give this user the right to write in it, or set another DATABASE_URL")
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return failed(err.Error(), "remove the file, and look at the rights of the directory")
	}
	return ok("will be made at the first start: " + path)
}

// runs reports whether a service answers at ADMIN_LISTEN_ADDR.
func runs(ctx context.Context, s *settings) bool {
	c, err := dialAdmin(s.AdminListenAddr, "")
	if err != nil {
		return false
	}
	defer c.http.CloseIdleConnections()
	body, err := fetch(ctx, c.http, c.base+"/healthz")
	return err == nil && strings.TrimSpace(body) == aliveText
}

// fetch returns what a page says; any status but 200 is an error.
func fetch(ctx context.Context, client *http.Client, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", res.StatusCode)
	}
	return string(body), nil
}
