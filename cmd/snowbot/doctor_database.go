package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"snowbot/store"
	"snowbot/store/bolt"
)

// checkDatabase opens the store, unless the running service has it. A file that is not there yet is not made.
func checkDatabase(ctx context.Context, s *settings) []finding {
	key := func(f finding) finding { f.Check = "encryption key"; return f }
	path, err := s.boltPath()
	if err != nil {
		return []finding{failed("DATABASE_URL "+err.Error(), "correct DATABASE_URL"), key(skipped("there is no database to try it on"))}
	}
	if runs(ctx, s) {
		return []finding{ok("in use by the running service"), key(skipped("the running service has the database"))}
	}
	keys, err := store.ParseKeyring(s.DataKey)
	if err != nil {
		return []finding{
			skipped("not opened without a key"),
			key(failed(err.Error(), "make a key with `snowbot keygen`, or set the one the database was made with")),
		}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return []finding{checkDirectory(path), key(ok("a key; there is no database yet that it would have to fit"))}
	}
	st, err := bolt.Open(bolt.Options{Path: path, Keys: keys, Log: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, store.ErrWrongKey):
		return []finding{ok("is a store of snowbot"), key(failed(err.Error(), "set DATA_ENCRYPTION_KEY to the key the database was made with; new keys go before it, separated by a comma"))}
	case err != nil:
		return []finding{failed(err.Error(), "see above; if a service has the file, run this on its machine with its ADMIN_LISTEN_ADDR"), key(skipped("the database does not open"))}
	}
	detail := "opens: " + path
	if stats, err := st.Stats(ctx); err == nil {
		detail = fmt.Sprintf("opens: %s, %d live sessions, %d dead letters", path, stats.Live, stats.DeadLetters)
	}
	if err := st.Close(); err != nil {
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

// aliveText is what /healthz of the service says.
const aliveText = "ok"

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
