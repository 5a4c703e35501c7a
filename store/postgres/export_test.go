package postgres

// The queries whose plans are tested.
const (
	SQLClaim        = sqlClaim
	SQLRun          = sqlRun
	SQLLock         = sqlLock
	SQLKnown        = sqlKnown
	SQLLane         = sqlLane
	SQLLaneHead     = sqlLaneHead
	SQLRefresh      = sqlRefresh
	SQLWriteRecords = sqlWriteRecords
	SQLSoon         = sqlSoon
	SQLDue          = sqlDue
	SQLSessions     = sqlSessions
	SQLFind         = sqlFind
	SQLLines        = sqlLines
	SQLLockIdle     = sqlLockIdle
	SQLPruneEvents  = sqlPruneEvents
	SQLPruneLines   = sqlPruneLines
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
