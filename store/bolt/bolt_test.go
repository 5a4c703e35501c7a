package bolt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"snowbot/store"
	"snowbot/store/bolt"
	"snowbot/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVar); path != "" {
		os.Exit(child(path))
	}
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	t.Parallel()
	path := func(o storetest.Options) string { return filepath.Join(o.Dir, "snowbot.db") }
	storetest.Run(t, storetest.Harness{
		Open: func(_ testing.TB, o storetest.Options) (store.Store, error) {
			s, err := bolt.Open(bolt.Options{Path: path(o), Keys: o.Keys, Now: o.Now, Log: o.Log})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Raw: func(t testing.TB, o storetest.Options) []byte {
			b, err := os.ReadFile(path(o))
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
	})
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
