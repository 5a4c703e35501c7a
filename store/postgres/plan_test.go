package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

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
	now := time.Now()
	hashes := [][16]byte{{1}, {2}}
	for _, q := range []struct {
		name, sql string
		args      []any
	}{
		{"Claim", postgres.SQLClaim, []any{"teams", nil, []int64{1, 2, 3}, int64(1)}},
		{"Runs", postgres.SQLRuns, []any{"teams", nil, []int64{1, 2, 3}, int64(1), 8, 45, 65536}},
		{"Lock", postgres.SQLLock, []any{[]string{"c10", "c20", "c30"}}},
		{"Known", postgres.SQLKnown, []any{"c10", hashes, nil}},
		{"Lane", postgres.SQLLane, []any{"c10", "teams"}},
		{"LaneHead", postgres.SQLLaneHead, []any{"c10", "teams", 9}},
		{"Refresh", postgres.SQLRefresh, []any{[]int64{10, 20}, []string{"teams", "teams"}, []string{"c10", "c20"}, now}},
		{"WriteRecords", postgres.SQLWriteRecords, []any{
			[]string{"c10", "c20"}, now, int32(1), []string{"", ""}, []*time.Time{nil, nil}, []int64{1, 1}, []int64{1, 1}, [][]byte{{1}, {2}},
		}},
		{"Wait", postgres.SQLSoon, []any{[]string{"teams"}, nil}},
		{"Due", postgres.SQLDue, []any{nil, 100}},
		{"Sessions", postgres.SQLSessions, []any{"", 100}},
		{"Find", postgres.SQLFind, []any{[]string{"k10", "k20"}}},
		{"Load", postgres.SQLLoad, []any{[]string{"c10", "c20"}}},
		{"Lines", postgres.SQLLines, []any{"c10", 10}},
		{"PruneConversations", postgres.SQLLockIdle, []any{int32(20), now, now, 100}},
		{"PruneEvents", postgres.SQLPruneEvents, []any{nil, 100}},
		{"File", postgres.SQLFile, []any{"f10", nil}},
		{"Parts", postgres.SQLParts, []any{"f10", [16]byte{}}},
		{"PutFile", postgres.SQLPutFile, []any{"f10", "c10", now, [16]byte{1}, 1, []byte{1}}},
		{"DropParts", postgres.SQLDropParts, []any{"f10", [16]byte{1}}},
		{"PruneFiles", postgres.SQLPruneFiles, []any{nil, 16}},
		{"FilesOfAConversation", "DELETE FROM files WHERE conversation = $1", []any{"c10"}}, // which the reference does
		{"PruneLines", postgres.SQLPruneLines, []any{now, 100}},
	} {
		t.Run(q.name, func(t *testing.T) {
			if _, err := conn.Prepare(t.Context(), q.name, q.sql); err != nil {
				t.Fatal(err)
			}
			nulls := strings.Repeat(", NULL", len(q.args))[1:]
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
		})
	}
}
