package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

func TestTLS(t *testing.T) {
	t.Run("IsDemandedOfOtherMachines", func(t *testing.T) {
		t.Parallel()
		for url, want := range map[string]string{
			"postgres://db.example.com/x":                       "must",
			"postgres://db.example.com/x?sslmode=disable":       "none",
			"postgres://db.example.com/x?sslmode=prefer":        "try",
			"postgres://db.example.com/x?sslmode=verify-full":   "must",
			"postgres://127.0.0.1,db.example.com/x":             "must",
			"postgres://127.0.0.1/x":                            "try",
			"postgres://localhost/x":                            "try",
			"postgres://[::1]/x":                                "try",
			"postgresql:///x?host=/var/run/postgresql":          "none",
			"postgres://localhost/x?sslmode=require":            "must",
			"postgres://10.0.0.1/x?sslmode=verify-ca&user=name": "must",
		} {
			if got, err := postgres.Demands(postgres.Options{URL: url}); err != nil || got != want {
				t.Errorf("%s: %q, %v, want %q", url, got, err, want)
			}
		}
	})
	t.Run("IsVerified", func(t *testing.T) {
		t.Parallel()
		if shared.Certificate() == "" {
			t.Log("the server of TEST_POSTGRES_URL has a certificate of its own")
			return
		}
		url := postgrestest.With(t, shared.Schema(t, t.TempDir()), "sslmode", "verify-full")
		s := open(t, postgres.Options{URL: postgrestest.With(t, url, "sslrootcert", shared.Certificate())})
		send(t, s, "c", "d")
		if _, err := postgres.Open(t.Context(), postgres.Options{URL: url, Keys: testKeys(t, 1)}); err == nil {
			t.Error("Open succeeded with a certificate of an unknown authority")
		}
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for name, o := range map[string]postgres.Options{
		"no URL":              {},
		"another scheme":      {URL: "mysql://u:" + secret + "@localhost/x"},
		"malformed":           {URL: "postgres://u:" + secret + "@local host/%zz"},
		"unknown sslmode":     {URL: "postgres://u:" + secret + "@localhost/x?sslmode=maybe"},
		"missing certificate": {URL: "postgres://u:" + secret + "@localhost/x?sslmode=verify-full&sslrootcert=/nowhere"},
		"nobody there":        {URL: "postgres://u:" + secret + "@127.0.0.1:1/x"},
		"few connections":     {URL: "postgres://u:" + secret + "@localhost/x", MaxConns: 3},
		"few in the URL":      {URL: "postgres://u:" + secret + "@localhost/x?pool_max_conns=3"},
		"odd pool":            {URL: "postgres://u:" + secret + "@localhost/x?pool_max_conns=many"},
		"odd time-out":        {URL: "postgres://u:" + secret + "@localhost/x?lock_timeout=soon"},
		"negative time-out":   {URL: "postgres://u:" + secret + "@localhost/x", LockTimeout: -1},
		"long lock time-out":  {URL: "postgres://u:" + secret + "@localhost/x", LockTimeout: time.Minute},
	} {
		o.Keys = testKeys(t, 1)
		_, err := postgres.Open(t.Context(), o)
		if err == nil {
			t.Errorf("%s: Open succeeded", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: shared.URL()}); err == nil {
		t.Error("Open succeeded without keys")
	}
}

// TestTimeoutsOfTheURL: what the URL says of the pool and the time-outs reaches the server.
func TestTimeoutsOfTheURL(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	for name, value := range map[string]string{"statement_timeout": "7s", "lock_timeout": "1500", "pool_max_conns": "9"} {
		url = postgrestest.With(t, url, name, value)
	}
	s := open(t, postgres.Options{URL: url})
	got, err := postgres.Settings(t.Context(), s, "statement_timeout", "lock_timeout")
	if want := []string{"7s", "1500ms"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("the server has %q, %v, want %q", got, err, want)
	}
	if n := postgres.MaxConns(s); n != 9 {
		t.Errorf("%d connections at most, want 9", n)
	}
}
