package bot

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
)

func TestStateCacheBelievesNothingButTheRecord(t *testing.T) {
	t.Parallel()
	c := &stateCache{}
	record := func(owner int) *store.Record {
		r := &store.Record{ID: "tenant/chat"}
		if err := (&state{Owner: owner}).encode(r, r.Due); err != nil {
			t.Fatal(err)
		}
		return r
	}
	read := func(r *store.Record) *state {
		t.Helper()
		s, err := c.read(r)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := read(record(1))
	if again := read(record(1)); again != first {
		t.Error("the same record was decoded twice")
	}
	if s := read(record(2)); s.Owner != 2 {
		t.Errorf("after the record has changed, the owner is %d, want 2", s.Owner)
	}
	if s := c.last("tenant/chat"); s == nil || s.Owner != 2 {
		t.Errorf("the last state is %+v, want that of owner 2", s)
	}
	if _, err := c.read(&store.Record{ID: "tenant/chat", Data: []byte("no JSON")}); err == nil {
		t.Error("a record that cannot be read has a state")
	}
}

func TestStateCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := &stateCache{}
	for i := range 3 * recentMost {
		c.put(fmt.Sprint("chat", i), nil, &state{})
		c.last("chat0") // is in use
	}
	if n := len(c.known.young) + len(c.known.old); n > recentMost {
		t.Errorf("%d states are remembered, want at most %d", n, recentMost)
	}
	if c.last("chat0") == nil {
		t.Error("a state in use was forgotten")
	}
}

// What a transition edits is a clone, while others read the original.
func TestCloneSharesNothingThatIsEdited(t *testing.T) {
	t.Parallel()
	fresh := func() *state {
		return &state{Session: &session{ID: "s"}, Past: []ended{{ID: "p"}}, Apart: &apart{N: 2}, Sent: &sends{Last: 1}}
	}
	s := fresh()
	c := s.clone()
	if d := cmp.Diff(s, c); d != "" {
		t.Errorf("the clone differs:\n%s", d)
	}
	c.Session.Warned, c.Past[0].Joined, c.Apart.N = true, true, 1
	if d := cmp.Diff(fresh(), s); d != "" {
		t.Errorf("an edit of the clone changed the original:\n%s", d)
	}
}
