package postgres_test

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/storetest"
)

// laterSchema is a schema of the future.
//
//go:embed testdata/later.sql
var laterSchema string

// formerStatements are those of the programs of schema 1 and 2.
//
//go:embed testdata/statements1.sql testdata/statements2.sql
var formerStatements embed.FS

// TestStoreOnALaterSchema runs the whole suite on a schema that a later version has migrated, under the eyes of this
// one: it goes on, and starts again, until its own upgrade comes.
func TestStoreOnALaterSchema(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, o storetest.Options) (store.Store, error) {
			url := shared.Schema(t, o.Dir)
			s, err := postgres.Open(context.Background(), postgres.Options{URL: url, Keys: o.Keys, Now: o.Now, Log: o.Log, Migrate: true, MaxConns: 8})
			if err != nil {
				return nil, err
			}
			conn := shared.Connect(t, url)
			defer conn.Close(context.Background())
			var done bool
			if err := conn.QueryRow(context.Background(), "SELECT to_regclass('later') IS NOT NULL").Scan(&done); err != nil {
				t.Fatal(err)
			}
			if !done { // under load, so that there are statements of which plans are kept
				if _, err := s.Stats(context.Background()); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.PgConn().Exec(context.Background(), laterSchema).ReadAll(); err != nil {
					t.Fatal(err)
				}
			}
			return s, nil
		},
		Raw:    func(t testing.TB, o storetest.Options) []byte { return everything(t, shared.Schema(t, o.Dir)) },
		Sealed: sealed.Secret,
	})
}

// TestFormerProgramsOnThisSchema: every statement of the programs of former schemas is one on this schema too.
func TestFormerProgramsOnThisSchema(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	open(t, postgres.Options{URL: url})
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	for schema := 1; schema <= 2; schema++ {
		statements := statementsOf(t, schema)
		if len(statements) < 70 {
			t.Fatalf("only %d statements", len(statements))
		}
		for name, sql := range statements {
			if _, err := conn.Prepare(t.Context(), fmt.Sprint(name, schema), sql); err != nil {
				t.Errorf("schema %d, %s: %v", schema, name, err)
			}
		}
	}
}

// statementsOf are the statements of the program of a schema, by their names.
func statementsOf(t *testing.T, schema int) map[string]string {
	t.Helper()
	all, err := formerStatements.ReadFile(fmt.Sprintf("testdata/statements%d.sql", schema))
	if err != nil {
		t.Fatal(err)
	}
	statements := map[string]string{}
	for _, s := range strings.Split(string(all), "\n-- ")[1:] {
		name, sql, _ := strings.Cut(s, "\n")
		statements[name] = sql
	}
	return statements
}

// TestFormerProgramsEraseFiles: a program that does not know of files takes them along when it erases or prunes a conversation.
func TestFormerProgramsEraseFiles(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	for _, c := range []string{"c1", "c2"} {
		send(t, s, c, "d")
		for n := range 4 { // each twice, and nothing is left of the first time
			f := store.File{ID: fmt.Sprint(c, n%2), Conversation: c, Expires: time.Now().Add(time.Hour), Data: make([]byte, 3*store.FilePart)}
			if err := s.PutFile(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statementsOf(t, 2)["sqlEraseConversations"], []string{"c1"}); err != nil {
		t.Fatal(err)
	}
	var files, parts int
	if err := conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM file_parts)").Scan(&files, &parts); err != nil {
		t.Fatal(err)
	}
	if files != 2 || parts != 6 {
		t.Errorf("%d files and %d parts are left, want 2 and 6", files, parts)
	}
	if _, err := s.File(t.Context(), "c10"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("File: %v, want ErrNotFound", err)
	}
}

// TestRepeatsAcrossPrograms: what the program of schema 1 has taken is a repeat for this one, and the other way round.
func TestRepeatsAcrossPrograms(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	send(t, s, "c", "d")
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	first := func(name string) [16]byte { // as it keeps event ids
		sum := sha256.Sum256([]byte(name))
		return [16]byte(sum[:])
	}
	_, err := conn.Exec(t.Context(), "INSERT INTO events SELECT no, $1, now() + interval '1 hour' FROM conversations", first("theirs"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"theirs": false, "ours": true} {
		ran := false
		if err := s.Apply(t.Context(), "c", []store.EventID{{Name: name}}, func(*store.Turn) error { ran = true; return nil }); err != nil || ran != want {
			t.Errorf("%s is taken for new: %t, %v, want %t", name, ran, err, want)
		}
	}
	var there bool
	if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM events WHERE hash = $1)", first("ours")).Scan(&there); err != nil || !there {
		t.Errorf("the other program would find ours: %t, %v", there, err)
	}
}
