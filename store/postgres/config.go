package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"snowbot/store"
)

// Options say where the database is and what it may take.
type Options struct {
	// URL of the database, postgres://…, with the parameters of libpq, of the pool (pool_max_conns) and of the server
	// (statement_timeout, lock_timeout, search_path, which chooses a schema). Without sslmode, TLS is demanded of every host
	// that is not this machine.
	URL string
	// Keys seal what is kept. Required.
	Keys *store.Keyring
	// Now overrides the database's clock, for tests.
	Now func() time.Time
	// Log gets what an operator should know; nothing is logged when nil.
	Log *slog.Logger
	// MaxConns bounds the connections, to which one for notifications comes; what the URL says when zero, or 16, and at
	// least twice the four that commit.
	MaxConns int
	// StatementTimeout bounds each statement and LockTimeout each wait for a row, by the server; what the URL says when
	// zero, or 10 s and 5 s.
	StatementTimeout, LockTimeout time.Duration
	// Migrate lets Open bring the schema up to date. Without it an old schema is refused.
	Migrate bool
	// Copying opens the target of an unfinished copy too; see [store.Copyable].
	Copying bool
	// Replica counts this store among those that work on the database; see [Store.Replicas]. Who only has a look leaves
	// it out.
	Replica bool
}

const (
	defaultConns     = 16
	defaultStatement = 10 * time.Second
	defaultLock      = 5 * time.Second
	connectTimeout   = 5 * time.Second
)

// withDefaults fills in what was left out, and refuses what makes no sense.
func (o Options) withDefaults() (Options, error) {
	if err := o.fromURL(); err != nil {
		return o, err
	}
	if o.StatementTimeout < 0 || o.LockTimeout < 0 {
		return o, errors.New("a time-out of the database is negative")
	}
	if o.MaxConns != 0 && o.MaxConns < 2*committers {
		return o, fmt.Errorf("at most %d connections to the database are too few, %d are needed", o.MaxConns, 2*committers)
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultConns
	}
	if o.StatementTimeout == 0 {
		o.StatementTimeout = defaultStatement
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = min(defaultLock, o.StatementTimeout)
	}
	if o.LockTimeout > o.StatementTimeout {
		return o, errors.New("the lock time-out of the database is longer than its statement time-out")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// fromURL takes from the URL what the options leave open.
func (o *Options) fromURL() error {
	u, err := url.Parse(o.URL)
	if err != nil {
		return errors.New("the database's URL is malformed") // its error would tell the URL
	}
	q := u.Query()
	if v := q.Get("pool_max_conns"); v != "" && o.MaxConns == 0 {
		if o.MaxConns, err = strconv.Atoi(v); err != nil || o.MaxConns <= 0 {
			return errors.New("pool_max_conns in the database's URL is no number of connections")
		}
	}
	for name, to := range map[string]*time.Duration{"statement_timeout": &o.StatementTimeout, "lock_timeout": &o.LockTimeout} {
		if v := q.Get(name); v != "" && *to == 0 {
			if *to, err = parseTimeout(v); err != nil || *to <= 0 {
				return fmt.Errorf("%s in the database's URL is no time-out: say milliseconds, or a time such as 10s", name)
			}
		}
	}
	return nil
}

// parseTimeout reads a time-out as PostgreSQL writes it: milliseconds, or with a unit.
func parseTimeout(s string) (time.Duration, error) {
	if ms, err := strconv.ParseInt(s, 10, 32); err == nil {
		return time.Duration(ms) * time.Millisecond, nil
	}
	return time.ParseDuration(strings.Replace(s, "min", "m", 1))
}

// CheckURL says what is wrong with the URL of a database, as far as that can be seen without connecting. It does not tell
// the password.
func CheckURL(url string) error {
	_, err := poolConfig(Options{URL: url})
	return err
}

// sqlDurable makes commits durable on a server that is set up not to bother.
const sqlDurable = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// poolConfig reads the URL. Its errors do not tell the password.
func poolConfig(o Options) (*pgxpool.Config, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(o.URL, "postgres://") && !strings.HasPrefix(o.URL, "postgresql://") {
		return nil, errors.New("the database's URL does not begin with postgres://")
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("the database's URL is malformed") // its error would tell the URL
	}
	given := u.Query().Has("sslmode") || os.Getenv("PGSSLMODE") != ""
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("the database's URL has a parameter that cannot be used: check host, port, sslmode and the certificates' files")
	}
	if !given && !isLocal(c.ConnConfig) {
		q := u.Query()
		q.Set("sslmode", "require")
		u.RawQuery = q.Encode()
		if c, err = pgxpool.ParseConfig(u.String()); err != nil {
			return nil, errors.New("the database's URL cannot be used with TLS: say sslmode yourself")
		}
	}
	c.MaxConns = int32(min(o.MaxConns, 1<<16))
	if c.ConnConfig.ConnectTimeout == 0 || !u.Query().Has("connect_timeout") {
		c.ConnConfig.ConnectTimeout = connectTimeout
	}
	params := c.ConnConfig.RuntimeParams
	params["statement_timeout"] = millis(o.StatementTimeout)
	params["lock_timeout"] = millis(o.LockTimeout)
	// A connection that was cut without the server's notice must not keep its locks for longer than others
	// wait for them.
	params["idle_in_transaction_session_timeout"] = millis(o.LockTimeout / 2)
	params["default_transaction_isolation"] = "read committed"
	params["timezone"] = "UTC"
	// Most parameters are lists, whose length changes with each statement and the plan does not: it is not to be made anew for that.
	params["plan_cache_mode"] = "force_generic_plan"
	// Each query of the daily work finds its rows by an index. A plan that was made while a table was small,
	// and is kept until somebody analyses the table, must not read it from end to end when it has grown.
	for _, way := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"} {
		params[way] = "off"
	}
	if params["application_name"] == "" {
		params["application_name"] = "snowbot"
	}
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sqlDurable)
		return err
	}
	return c, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// isLocal reports whether every host is this machine: a socket or a loopback address.
func isLocal(c *pgx.ConnConfig) bool {
	hosts := []string{c.Host}
	for _, f := range c.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, h := range hosts {
		ip := net.ParseIP(h)
		if !strings.HasPrefix(h, "/") && h != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
