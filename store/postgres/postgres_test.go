package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"snowbot/cmd/leaktest"
	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
	"snowbot/store/storetest"
)

// shared is the server of all tests that do not harm it, whose log is searched for what the stores were to seal.
var (
	shared *postgrestest.Server
	sealed = leaktest.Whole("the server of all tests")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("15"); err != nil { // each call goes to a server
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var err error
	if shared, err = postgrestest.Start(postgrestest.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	log, err := shared.Log()
	shared.Stop()
	_, _ = sealed.To(leaktest.Server).Write(log)
	if err = errors.Join(err, sealed.End()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, o storetest.Options) (store.Store, error) {
			s, err := postgres.Open(context.Background(), postgres.Options{
				URL: shared.Schema(t, o.Dir), Keys: o.Keys, Now: o.Now, Log: o.Log, Migrate: true, MaxConns: 8,
			})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Raw:    func(t testing.TB, o storetest.Options) []byte { return everything(t, shared.Schema(t, o.Dir)) },
		Sealed: sealed.Secret,
	})
}

// TestServerLogTells shows that the search of the server's log, which [TestMain] does at the end, would find what was not sealed.
func TestServerLogTells(t *testing.T) {
	t.Parallel()
	own, err := postgrestest.Start(postgrestest.Options{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	conn := own.Connect(t, own.URL())
	defer conn.Close(context.Background())
	for _, planted := range []any{"the words of " + leaktest.Mark, []byte("the bytes of " + leaktest.Mark)} {
		before, err := own.Log()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "SELECT $1", planted); err != nil {
			t.Fatal(err)
		}
		log, err := own.Log()
		if err != nil {
			t.Fatal(err)
		}
		w := leaktest.Whole("")
		_, _ = w.To(leaktest.Server).Write(log[len(before):])
		if len(w.Leaks()) == 0 {
			t.Errorf("%q was not found in\n%s", planted, log[len(before):])
		}
	}
}

// everything returns all rows of all tables of a schema.
func everything(t testing.TB, url string) []byte {
	t.Helper()
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, table := range tables {
		sql := "COPY " + pgx.Identifier{table}.Sanitize() + " TO STDOUT (FORMAT binary)"
		if _, err := conn.PgConn().CopyTo(t.Context(), &out, sql); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// open opens a store that is closed with the test.
func open(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	if o.Keys == nil {
		o.Keys = testKeys(t, 1)
	}
	o.Migrate = true
	s, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func testKeys(t testing.TB, list ...byte) *store.Keyring {
	t.Helper()
	var ks [][]byte
	for _, b := range list {
		ks = append(ks, bytes.Repeat([]byte{b}, store.KeySize))
	}
	k, err := store.NewKeyring(ks...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// eventually waits for what has to come true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it was never true that %s", what)
		}
	}
}
