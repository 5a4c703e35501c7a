package postgres_test

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"strings"
	"testing"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/storetest"
)

// laterSchema is a schema of the future.
//
//go:embed testdata/later.sql
var laterSchema string

// firstStatements are those of the program of schema 1.
//
//go:embed testdata/statements1.sql
var firstStatements string

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

// TestFirstProgramOnThisSchema: every statement of the program of schema 1 is one on this schema too.
func TestFirstProgramOnThisSchema(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	open(t, postgres.Options{URL: url})
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	statements := strings.Split(firstStatements, "\n-- ")[1:]
	if len(statements) < 70 {
		t.Fatalf("only %d statements", len(statements))
	}
	for _, s := range statements {
		name, sql, _ := strings.Cut(s, "\n")
		if _, err := conn.Prepare(t.Context(), name, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
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
