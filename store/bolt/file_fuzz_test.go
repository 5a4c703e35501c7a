package bolt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/bolt"
)

// FuzzFile damages a database file in one place and opens it: either it opens and can be read, or the error says what to do. Whatever it
// is, the process lives.
func FuzzFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "snowbot.db")
	s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(f, 1)})
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []string{"c1", "c2", "c3"} {
		err := s.Apply(f.Context(), c, []store.EventID{{Name: "e"}}, func(turn *store.Turn) error {
			turn.Record.Data = make([]byte, 3000)
			turn.Record.Status, turn.Record.Due = "live", turn.Now
			turn.Record.Keys, turn.Record.People = []string{"k" + c}, []string{"p"}
			turn.Send(store.ToTeams, store.Delivery{ID: "d", Body: []byte("body")})
			turn.Lines = []store.Line{{Data: []byte("line")}}
			return nil
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := s.PutFile(f.Context(), store.File{ID: "f", Conversation: "c1", Expires: time.Now().Add(time.Hour), Data: make([]byte, 20_000)}); err != nil {
		f.Fatal(err)
	}
	s.Crash() // so that opening has to look at every page
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	page := uint32(os.Getpagesize())                  // a few KB
	for p := range min(uint32(len(whole))/page, 12) { // a small file
		f.Add(p*page+8, []byte{0xff, 0xff})              // flags of the page
		f.Add(p*page+10, []byte{0xff, 0x00})             // how many elements it has
		f.Add(p*page+12, []byte{0xff, 0xff, 0xff})       // how many pages it goes on for
		f.Add(p*page+20, []byte{0xff, 0xff, 0xff, 0x7f}) // where the first element is
	}
	f.Add(uint32(0), make([]byte, 2*page))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		damaged := append([]byte(nil), whole...)
		if int64(at) < int64(len(damaged)) {
			copy(damaged[at:], patch)
		}
		path := filepath.Join(t.TempDir(), "snowbot.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1)})
		if err != nil {
			if !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), "backup") && !strings.Contains(err.Error(), "DATA_ENCRYPTION_KEY") {
				t.Errorf("the error does not help: %v", err)
			}
			return
		}
		defer s.Close()
		for _, c := range []string{"c1", "c2", "c3"} {
			_, _ = s.Load(t.Context(), c)
		}
		if got, err := s.File(t.Context(), "f"); err == nil && len(got.Data) != 20_000 {
			t.Errorf("the file has %d bytes", len(got.Data))
		}
	})
}
