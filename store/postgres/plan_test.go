package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"snowbot/store/postgres"
)

// fillConversations makes 100,000 conversations, of which some have a session, a timer or work.
const fillConversations = `
INSERT INTO conversations (id, status, due, updated, filed, lines, placed, data)
SELECT 'c' || i, CASE WHEN i % 100 = 0 THEN 'live' ELSE '' END, CASE WHEN i % 100 = 0 THEN now() + i * interval '1 second' END,
now(), i / 1000, 3, 1, '\x01' FROM generate_series(1, 100000) AS i;
INSERT INTO keys SELECT 'k' || i, 'c' || i FROM generate_series(1, 100000) AS i;
INSERT INTO events SELECT no, gen_random_uuid(), now() + no * interval '1 second' FROM conversations;
INSERT INTO lines SELECT no, n, now(), '\x01' FROM conversations, generate_series(1, 3) AS n;
INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, body)
SELECT no, 'teams', 1, 'd', '', '', now(), '\x01' FROM conversations WHERE no % 10 = 0;
INSERT INTO lanes (no, direction, conversation, head, due, at)
SELECT no, 'teams', id, 1, now(), now() FROM conversations WHERE no % 10 = 0;
INSERT INTO files SELECT 'f' || no, id, now() + no * interval '1 second', gen_random_uuid(), 1, '\x01' FROM conversations WHERE no % 10 = 0;
INSERT INTO file_parts SELECT id, mark, n, '\x01' FROM files, generate_series(0, 3) AS n;
ANALYZE conversations, keys, events, lines, deliveries, lanes, files, file_parts` // not the tables of other tests, all of which it would lock

// TestPlans: no query of the daily work reads a table from end to end, be there many conversations or few that
// are busy.
func TestPlans(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(t.Context(), fillConversations).ReadAll(); err != nil {
		t.Fatal(err)
	}
	ways := []string{"plan_cache_mode", "enable_seqscan", "enable_hashjoin", "enable_mergejoin"}
	values, err := postgres.Settings(t.Context(), s, ways...)
	if err != nil {
		t.Fatal(err)
	}
	for i, way := range ways { // the plans are to be the store's
		if _, err := conn.Exec(t.Context(), "SELECT set_config($1, $2, false)", way, values[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []struct{ name, sql string }{
		{"Claim", postgres.SQLClaim},
		{"Runs", postgres.SQLRuns},
		{"Lock", postgres.SQLLock},
		{"Known", postgres.SQLKnown},
		{"Lanes", postgres.SQLLanes},
		{"Heads", postgres.SQLHeads},
		{"Done", postgres.SQLDone},
		{"End", postgres.SQLEnd},
		{"Rest", postgres.SQLRest},
		{"Refresh", postgres.SQLRefresh},
		{"WriteRecords", postgres.SQLWriteRecords},
		{"Wait", postgres.SQLSoon},
		{"Due", postgres.SQLDue},
		{"Sessions", postgres.SQLSessions},
		{"Find", postgres.SQLFind},
		{"Load", postgres.SQLLoad},
		{"Lines", postgres.SQLLines},
		{"PruneConversations", postgres.SQLLockIdle},
		{"PruneEvents", postgres.SQLPruneEvents},
		{"File", postgres.SQLFile},
		{"Parts", postgres.SQLParts},
		{"PutFile", postgres.SQLPutFile},
		{"DropParts", postgres.SQLDropParts},
		{"PruneFiles", postgres.SQLPruneFiles},
		{"FilesOfAConversation", "DELETE FROM files WHERE conversation = $1"}, // which the reference does
		{"PruneLines", postgres.SQLPruneLines},
	} {
		t.Run(q.name, func(t *testing.T) {
			statement, err := conn.Prepare(t.Context(), q.name, q.sql)
			if err != nil {
				t.Fatal(err)
			}
			nulls := strings.Repeat(", NULL", len(statement.ParamOIDs))[1:]
			rows, err := conn.Query(t.Context(), "EXPLAIN EXECUTE "+pgx.Identifier{q.name}.Sanitize()+"("+nulls+")")
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			plan := strings.Join(lines, "\n")
			t.Log(plan)
			indexed := strings.Count(plan, "Index Scan") + strings.Count(plan, "Index Only Scan")
			if strings.Contains(plan, "Seq Scan") || strings.Count(plan, "Index Cond") < indexed {
				t.Error("the query reads a whole table, or a whole index")
			}
			if q.name == "Known" && !strings.Contains(plan, "(hash = q.hash)") {
				t.Error("the query reads all event ids of a conversation")
			}
		})
	}
}
