package postgres_test

import (
	"context"
	"errors"
	"testing"

	"snowbot/store"
	"snowbot/store/postgres"
)

// TestRekeyLeavesWhatIsDamaged: a value that does not open keeps nobody from taking an older key away.
func TestRekeyLeavesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	for _, id := range []string{"c1", "c2"} {
		err := s.Apply(t.Context(), id, nil, func(turn *store.Turn) error {
			turn.Record.Data = []byte("data")
			turn.Send(store.ToTeams, store.Delivery{ID: "d", Body: []byte("body")})
			turn.Lines = []store.Line{{Data: []byte("line")}}
			turn.Bury = []store.DeadLetter{{Delivery: store.Delivery{ID: "e", Body: []byte("event")}}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	for _, sql := range []string{ // a bit, and all of it
		`UPDATE conversations SET data = set_byte(data, 40, get_byte(data, 40) # 1) WHERE id = 'c1'`,
		`UPDATE deliveries SET body = '' FROM conversations AS c WHERE c.no = deliveries.no AND c.id = 'c1'`,
		`UPDATE lines SET data = decode('00', 'hex') FROM conversations AS c WHERE c.no = lines.no AND c.id = 'c1'`,
		`UPDATE letters SET body = set_byte(body, 2, get_byte(body, 2) # 1) WHERE conversation = 'c1'`,
	} {
		if tag, err := conn.Exec(t.Context(), sql); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v, %v", sql, tag, err)
		}
	}
	s = open(t, postgres.Options{URL: url, Keys: testKeys(t, 2, 1)})
	for n, more := 0, true; more; n++ {
		var err error
		if more, err = s.Rekey(t.Context()); err != nil {
			t.Fatalf("Rekey: %v", err)
		}
		if n == 100 {
			t.Fatal("Rekey does not come to an end")
		}
	}
	s.Close()
	s = open(t, postgres.Options{URL: url, Keys: testKeys(t, 2)})
	if rec, err := s.Load(t.Context(), "c2"); err != nil || string(rec.Data) != "data" {
		t.Errorf("Load: %+v, %v", rec, err)
	}
	if lines, err := s.Lines(t.Context(), "c2", 1); err != nil || string(lines[0].Data) != "line" {
		t.Errorf("Lines: %+v, %v", lines, err)
	}
	if l, err := next(t.Context(), s); err != nil || l.Lane.Conversation != "c2" || string(l.Deliveries[0].Body) != "body" {
		t.Errorf("Claim: %+v, %v", l, err)
	}
}

// TestRekeyOfAReplicaWithoutTheNewKey: what another replica has sealed with a key that is not here is not taken for damage, and that key
// is needed for as long.
func TestRekeyOfAReplicaWithoutTheNewKey(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	behind := open(t, postgres.Options{URL: url, Keys: testKeys(t, 1)})
	other := open(t, postgres.Options{URL: url, Keys: testKeys(t, 2, 1)})
	if err := other.Apply(t.Context(), "c", nil, func(*store.Turn) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var err error
	for more := true; more && err == nil; {
		more, err = behind.Rekey(t.Context())
	}
	if !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("Rekey: %v, want ErrWrongKey", err)
	}
	if s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Keys: testKeys(t, 1)}); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("Open without the new key: %v, want ErrWrongKey", err)
		if err == nil {
			s.Close()
		}
	}
}
