package postgres

import "context"

// The queries whose plans are tested.
const (
	SQLClaim        = sqlClaim
	SQLRuns         = sqlRuns
	SQLLock         = sqlLock
	SQLKnown        = sqlKnown
	SQLLanes        = sqlLanes
	SQLHeads        = sqlHeads
	SQLDone         = sqlDone
	SQLEnd          = sqlEnd
	SQLRest         = sqlRest
	SQLRefresh      = sqlRefresh
	SQLWriteRecords = sqlWriteRecords
	SQLSoon         = sqlSoon
	SQLDue          = sqlDue
	SQLSessions     = sqlSessions
	SQLFind         = sqlFind
	SQLLoad         = sqlLoad
	SQLLines        = sqlLines
	SQLLockIdle     = sqlLockIdle
	SQLPruneEvents  = sqlPruneEvents
	SQLPruneLines   = sqlPruneLines
	SQLFile         = sqlFile
	SQLParts        = sqlParts
	SQLPutFile      = sqlPutFile
	SQLDropParts    = sqlDropParts
	SQLPruneFiles   = sqlPruneFiles
)

// Demands tells which TLS a URL comes to: "none", "try" or "must".
func Demands(o Options) (string, error) {
	c, err := poolConfig(o)
	if err != nil {
		return "", err
	}
	if c.ConnConfig.TLSConfig == nil {
		return "none", nil
	}
	for _, f := range c.ConnConfig.Fallbacks {
		if f.TLSConfig == nil {
			return "try", nil
		}
	}
	return "must", nil
}

// Settings returns what the server of a store's connections has for parameters.
func Settings(ctx context.Context, s *Store, names ...string) ([]string, error) {
	var out []string
	for _, name := range names {
		var value string
		if err := s.pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

// MaxConns is the most connections of a store.
func MaxConns(s *Store) int { return int(s.pool.Config().MaxConns) }

// Queued counts the calls that wait for a transaction.
func Queued(s *Store) int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return len(s.queue.calls)
}

// QueuedOfGone counts the calls that a queue holds which nobody takes from, when the callers of all have left. ctx has ended.
func QueuedOfGone(ctx context.Context, calls int) int {
	q := newQueue()
	for range calls {
		c := &call{done: make(chan struct{})}
		q.add(c)
		_ = c.wait(ctx)
	}
	return len(q.calls)
}
