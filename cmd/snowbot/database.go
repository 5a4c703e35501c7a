package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"snowbot/store"
	"snowbot/store/bolt"
	"snowbot/store/postgres"
)

// A databaseURL says where conversations are kept: bbolt: and a path, or postgres://….
type databaseURL string

// isPostgres reports whether it names a PostgreSQL database.
func (u databaseURL) isPostgres() bool {
	return strings.HasPrefix(string(u), "postgres://") || strings.HasPrefix(string(u), "postgresql://")
}

// path is that of the file of a bbolt database.
func (u databaseURL) path() (string, error) {
	path, ok := strings.CutPrefix(string(u), "bbolt:")
	if !ok {
		return "", errors.New("has to be bbolt: and a path, such as bbolt:/var/lib/snowbot/snowbot.db, or postgres://user@host/database")
	}
	if path = strings.TrimPrefix(path, "//"); path == "" {
		return "", errors.New("names no file")
	}
	return path, nil
}

// check says what is wrong with it, as far as that can be seen from here.
func (u databaseURL) check() error {
	if u.isPostgres() {
		return postgres.CheckURL(string(u))
	}
	_, err := u.path()
	return err
}

// A database is a store that was opened, with what the service has to know of its kind.
type database struct {
	store.Store
	repeats int                             // sends that may have been in hand at an unclean end
	failed  <-chan struct{}                 // closed when it is lost until it is opened again; nil when that cannot be
	err     func() error                    // why it failed
	ready   func(ctx context.Context) error // nil when a commit is possible
	syncs   func() uint64                   // how often a file was synced; nil where the server does that

	replicas, lostSettles func() int // see bot.Options; nil where there are none
}

// databaseOptions say how a database is opened.
type databaseOptions struct {
	keys     *store.Keyring
	log      *slog.Logger
	create   bool          // make what is not there, and bring a schema up to date
	serve    bool          // work on it, rather than have a look
	copying  bool          // copy into it
	patience time.Duration // for a server that cannot be reached yet
}

// open opens the database.
func (u databaseURL) open(ctx context.Context, o databaseOptions) (*database, error) {
	if u.isPostgres() {
		return u.openPostgres(ctx, o)
	}
	path, err := u.path()
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL %w", err)
	}
	if _, err := os.Stat(path); !o.create && errors.Is(err, fs.ErrNotExist) { // opening would make one
		return nil, &noDatabaseError{path}
	}
	st, err := bolt.Open(bolt.Options{Path: path, Keys: o.keys, Log: o.log, LockTimeout: fileLockLimit, Copying: o.copying})
	if err != nil {
		return nil, err
	}
	return &database{
		Store: st, repeats: st.PossibleRepeats(), failed: st.Failed(), err: st.Err, syncs: st.Syncs,
		ready: func(ctx context.Context) error { _, err := st.Stats(ctx); return err },
	}, nil
}

// fileLockLimit is how long a file may be in use before a start gives up: with everything else, less than a second.
const fileLockLimit = 800 * time.Millisecond

// A noDatabaseError means that there is no file, and that none was to be made.
type noDatabaseError struct{ path string }

func (e *noDatabaseError) Error() string { return "there is no database at " + e.path }

// openPostgres connects, and waits for a server that is only just starting.
func (u databaseURL) openPostgres(ctx context.Context, o databaseOptions) (*database, error) {
	for start := time.Now(); ; {
		st, err := postgres.Open(ctx, postgres.Options{URL: string(u), Keys: o.keys, Log: o.log, Migrate: o.create, Replica: o.serve, Copying: o.copying})
		if err == nil {
			return &database{Store: st, ready: st.Ready, replicas: st.Replicas, lostSettles: st.LostSettles}, nil
		}
		if !errors.Is(err, postgres.ErrUnreachable) || time.Since(start) > o.patience || ctx.Err() != nil {
			return nil, err
		}
		o.log.Warn("waiting for the database", "err", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}
