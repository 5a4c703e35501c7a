package postgres_test

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
	"snowbot/store/postgres"
)

// firstSchema is a database as the first version left it, with rows of each kind.
//
//go:embed testdata/schema1.sql
var firstSchema string

//go:embed migrations/*.sql
var published embed.FS

func TestMigration(t *testing.T) {
	t.Parallel()

	t.Run("FirstSchemaIsBroughtUpToDate", func(t *testing.T) {
		t.Parallel()
		url := shared.Schema(t, t.TempDir())
		conn := shared.Connect(t, url)
		defer conn.Close(context.Background())
		if _, err := conn.PgConn().Exec(t.Context(), firstSchema).ReadAll(); err != nil {
			t.Fatal(err)
		}
		from, to, err := postgres.Migrate(t.Context(), url)
		if err != nil || from != 1 || to < 1 {
			t.Fatalf("Migrate: from %d to %d, %v", from, to, err)
		}
		if again, same, err := postgres.Migrate(t.Context(), url); err != nil || again != to || same != to {
			t.Fatalf("again: from %d to %d, %v", again, same, err)
		}
		s := open(t, postgres.Options{URL: url})
		rec, err := s.Load(t.Context(), "conversation-1")
		if err != nil {
			t.Fatal(err)
		}
		rec.Updated, rec.Due = time.Time{}, time.Time{}
		want := store.Record{ID: "conversation-1", Status: "live", Keys: []string{"key-1"}, People: []string{"person-1"}, Data: []byte("data")}
		if diff := cmp.Diff(want, rec); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		if c, err := s.Find(t.Context(), "key-1"); err != nil || c != "conversation-1" {
			t.Errorf("Find: %q, %v", c, err)
		}
		lines, err := s.Lines(t.Context(), "conversation-1", 9)
		if err != nil || len(lines) != 1 || string(lines[0].Data) != "line" {
			t.Errorf("lines %v, %v", lines, err)
		}
		letters, err := s.DeadLetters(t.Context(), store.DeadLetterFilter{})
		if err != nil || len(letters) != 1 || string(letters[0].Delivery.Body) != "buried" {
			t.Errorf("dead letters %v, %v", letters, err)
		}
		l, err := s.Claim(t.Context(), store.ToServiceNow, time.Minute, 9)
		if err != nil || string(l.Deliveries[0].Body) != "waiting" || l.Deliveries[0].Failed != 1 {
			t.Fatalf("Claim: %v, %v", l, err)
		}
		if err := s.Settle(t.Context(), l, store.Result{Done: 1}, nil); err != nil {
			t.Error(err)
		}
		send(t, s, "conversation-1", "next")
	})

	t.Run("PublishedMigrationsDoNotChange", func(t *testing.T) {
		t.Parallel()
		want := []string{
			"03c7fddea7ddc37d20786a1853a4460824c68e7d0a3f381f3543076a3957d298",
			"4dff97ad62179f5aa464084bfd1d1a5f60a61c41a30a62709fb8381693d99b65",
			"837a60342c0cfea00355e02b08875f8f7e96e0b9a5e4a5a12793961cdb53cc51",
		}
		names, err := fs.Glob(published, "migrations/*.sql")
		if err != nil || len(names) != len(want) {
			t.Fatalf("%d migrations, %v, want %d", len(names), err, len(want))
		}
		for i, name := range names {
			raw, err := published.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%x", sha256.Sum256(raw)); got != want[i] {
				t.Errorf("the hash of %s is %s: add another migration instead of changing it", name, got)
			}
		}
	})

	t.Run("OldSchemaIsRefusedWithoutPermission", func(t *testing.T) {
		t.Parallel()
		_, err := postgres.Open(t.Context(), postgres.Options{URL: shared.Schema(t, t.TempDir()), Keys: testKeys(t, 1)})
		if err == nil || !strings.Contains(err.Error(), "snowbot migrate") {
			t.Errorf("Open: %v, want to be told to migrate", err)
		}
	})

	t.Run("NewerSchemaIsRefused", func(t *testing.T) {
		t.Parallel()
		url := shared.Schema(t, t.TempDir())
		open(t, postgres.Options{URL: url})
		conn := shared.Connect(t, url)
		defer conn.Close(context.Background())
		for _, sql := range []string{
			"INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)", "UPDATE meta SET value = '99' WHERE name = 'oldest'",
		} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url, Keys: testKeys(t, 1), Migrate: true})
		if err == nil || !strings.Contains(err.Error(), "newer snowbot") {
			t.Errorf("Open: %v, want it refused", err)
		}
		if _, _, err := postgres.Migrate(t.Context(), url); err == nil {
			t.Error("Migrate succeeded")
		}
	})

	t.Run("ReplicasThatStartTogetherMigrateOnce", func(t *testing.T) {
		t.Parallel()
		url := shared.Schema(t, t.TempDir())
		errs := make(chan error)
		for range 4 {
			go func() {
				s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Keys: testKeys(t, 1), Migrate: true})
				if err == nil {
					err = s.Close()
				}
				errs <- err
			}()
		}
		for range 4 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestDamage: a delivery whose body does not open becomes a dead letter, and its lane goes on.
func TestDamage(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	send(t, s, "c", "d1", "d2")
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "UPDATE deliveries SET body = substring(body FROM 1 FOR 40) || 'xxxxxxxxxxxxxxxx' WHERE id = 'd1'"); err != nil {
		t.Fatal(err)
	}
	l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 9)
	if err != nil || l.Deliveries[0].ID != "d2" {
		t.Fatalf("Claim: %+v, %v, want d2", l, err)
	}
	letters, err := s.DeadLetters(t.Context(), store.DeadLetterFilter{Reason: "damaged"})
	if err != nil || len(letters) != 1 || letters[0].Delivery.ID != "d1" {
		t.Errorf("dead letters %+v, %v, want d1", letters, err)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE conversations SET data = 'x'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), "c"); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("Load: %v, want ErrWrongKey", err)
	}
}
