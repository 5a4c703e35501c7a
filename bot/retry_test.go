package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/store"
	"snowbot/store/bolt"
)

// A morgue is a store with one conversation, whose deliveries are given up.
type morgue struct {
	t  *testing.T
	st *bolt.Store
}

func newMorgue(t *testing.T, s *state) *morgue {
	t.Helper()
	keys, err := store.NewKeyring(bytes.Repeat([]byte{7}, store.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	st, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "x.db"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	err = st.Apply(t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
		return s.encode(turn.Record, deadline)
	})
	if err != nil {
		t.Fatal(err)
	}
	return &morgue{t, st}
}

var deadline = time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC)

// bury gives up a delivery, and returns its dead letter.
func (m *morgue) bury(to store.Direction, d store.Delivery) store.DeadLetter {
	m.t.Helper()
	ctx := m.t.Context()
	if err := m.st.Apply(ctx, "tenant/chat", nil, func(turn *store.Turn) error { turn.Send(to, d); return nil }); err != nil {
		m.t.Fatal(err)
	}
	l := m.claim(to)
	if err := m.st.Settle(ctx, l, store.Result{Next: store.Bury, Outcome: "status 400", Reason: "refused"}, nil); err != nil {
		m.t.Fatal(err)
	}
	found, err := m.st.DeadLetters(ctx, store.DeadLetterFilter{})
	if err != nil || len(found) != 1 {
		m.t.Fatalf("dead letters: %v, %v", found, err)
	}
	return found[0]
}

func (m *morgue) claim(to store.Direction) *store.Lease {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	l, err := m.st.Claim(ctx, to, time.Minute, 1)
	if err != nil {
		m.t.Fatalf("claim %s: %v", to, err)
	}
	return l
}

func TestRetryAsksTheSession(t *testing.T) {
	t.Parallel()
	live := &state{Ref: adapter.Reference{ConversationID: "chat"}, Owner: 1, Session: &session{ID: "s", Phase: connected, Live: "m"}}
	byAgent := &state{Owner: 2, Past: []ended{{ID: "s", Ended: time.Now(), UserID: "u"}}}
	long := &state{Owner: 2}
	text, turn := body{Text: "words"}.encode(), body{Owner: 1}.encode()
	for _, tt := range []struct {
		name  string
		state *state
		to    store.Direction
		kind  string
		id    string // of the session
		body  []byte
		want  error // unforced
		force error // forced
	}{
		{"words, live", live, store.ToServiceNow, kindWords, "s", text, nil, nil},
		{"words, over", byAgent, store.ToServiceNow, kindWords, "s", text, ErrSessionOver, nil},
		{"words, long over", long, store.ToServiceNow, kindWords, "s", text, ErrNotRetryable, ErrNotRetryable},
		{"text, live", live, store.ToTeams, kindText, "s", text, nil, nil},
		{"text, over", byAgent, store.ToTeams, kindText, "s", text, ErrSessionOver, nil},
		{"text, long over", long, store.ToTeams, kindText, "s", text, ErrSessionOver, nil},
		{"notice of a session, over", byAgent, store.ToTeams, kindNotice, "s", text, ErrSessionOver, nil},
		{"notice of none", long, store.ToTeams, kindNotice, "", text, nil, nil},
		{"reply", long, store.ToTeams, kindReply, "", text, nil, nil},
		{"card, over", byAgent, store.ToTeams, kindCard, "s", text, ErrSessionOver, nil},
		{"end notice, over", byAgent, store.ToTeams, kindEnd, "s", text, nil, nil},
		{"end to ServiceNow, over", byAgent, store.ToServiceNow, kindEnd, "s", text, nil, nil},
		{"end to ServiceNow, long over", long, store.ToServiceNow, kindEnd, "s", text, ErrNotRetryable, ErrNotRetryable},
		{"tick, over", byAgent, store.ToTicks, kindTick, "s", text, nil, nil},
		{"tick, long over", long, store.ToTicks, kindTick, "s", text, ErrNotRetryable, ErrNotRetryable},
		{"ticket, over", byAgent, store.ToServiceNow, kindTicket, "s", text, nil, nil},
		{"ticket, long over", long, store.ToServiceNow, kindTicket, "s", text, nil, nil},
		{"agent, live", live, store.ToServiceNow, kindAgent, "s", text, nil, nil},
		{"agent, over", byAgent, store.ToServiceNow, kindAgent, "s", text, ErrNotRetryable, ErrNotRetryable},
		{"turn, same owner", live, store.ToBot, kindTurn, "", turn, nil, nil},
		{"turn, another owner", byAgent, store.ToBot, kindTurn, "", turn, ErrNotRetryable, ErrNotRetryable},
		{"turn, damaged", live, store.ToBot, kindTurn, "", []byte("{"), ErrNotRetryable, ErrNotRetryable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMorgue(t, tt.state)
			letter := m.bury(tt.to, store.Delivery{ID: "d1", Kind: tt.kind, Session: tt.id, Body: tt.body})
			for _, try := range []struct {
				o    RetryOptions
				want error
			}{{RetryOptions{}, tt.want}, {RetryOptions{Force: true}, tt.force}} {
				err := Retry(t.Context(), m.st, letter, try.o)
				if !errors.Is(err, try.want) || err == nil != (try.want == nil) {
					t.Fatalf("Retry with %+v = %v, want %v", try.o, err, try.want)
				}
				if err != nil {
					if left, err := m.st.DeadLetters(t.Context(), store.DeadLetterFilter{}); err != nil || len(left) != 1 {
						t.Fatalf("after a refusal there are %d dead letters (%v), want it kept", len(left), err)
					}
					continue
				}
				if d := m.claim(tt.to).Deliveries[0]; d.ID != "d1" || d.Session != tt.id || !bytes.Equal(d.Body, tt.body) {
					t.Errorf("the lane has %+v, want the delivery as it was", d)
				}
				return
			}
		})
	}
}

func TestRetryForcedAdmitsWordsAndChangesNothingElse(t *testing.T) {
	t.Parallel()
	m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat"}, Owner: 2, Past: []ended{{ID: "other"}, {ID: "s", UserID: "u"}}})
	before, err := m.st.Load(t.Context(), "tenant/chat")
	if err != nil {
		t.Fatal(err)
	}
	letter := m.bury(store.ToServiceNow, store.Delivery{ID: "d1", Kind: kindWords, Session: "s", Body: body{Text: "x"}.encode()})
	if err := Retry(t.Context(), m.st, letter, RetryOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	after, err := m.st.Load(t.Context(), "tenant/chat")
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeState(&after)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Forced, []string{"d1"}) {
		t.Errorf("forced are %q, want the words alone", s.Forced)
	}
	s.Forced = nil
	same, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(same, before.Data) || !after.Due.Equal(deadline) || len(after.Keys) != len(before.Keys) {
		t.Errorf("the record went from %+v to %+v", before, after)
	}
}

func TestRetryRefusesEventsAndWhatIsGone(t *testing.T) {
	t.Parallel()
	m := newMorgue(t, &state{})
	event := store.DeadLetter{ID: "x", Lane: store.Lane{Conversation: "tenant/chat"}}
	if err := Retry(t.Context(), m.st, event, RetryOptions{Force: true}); !errors.Is(err, ErrNotRetryable) {
		t.Errorf("an event: %v, want ErrNotRetryable", err)
	}
	gone := store.DeadLetter{ID: "x", Lane: store.Lane{Conversation: "tenant/nobody", Direction: store.ToTeams}}
	if err := Retry(t.Context(), m.st, gone, RetryOptions{Force: true}); !errors.Is(err, ErrNotRetryable) {
		t.Errorf("a conversation that is gone: %v, want ErrNotRetryable", err)
	}
	letter := m.bury(store.ToTeams, store.Delivery{ID: "d1", Kind: kindReply})
	if err := m.st.Discard(t.Context(), letter.ID); err != nil {
		t.Fatal(err)
	}
	if err := Retry(t.Context(), m.st, letter, RetryOptions{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a letter that is gone: %v, want ErrNotFound", err)
	}
}

func TestSessionOf(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var r store.Record
	if err := (&state{Session: &session{ID: "s", Phase: waiting, Started: began}}).encode(&r, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, live, err := SessionOf(r); err != nil || !live || got != (Session{ID: "s", Status: "waiting", Started: began}) {
		t.Errorf("SessionOf = %+v, %v, %v", got, live, err)
	}
	if _, live, err := SessionOf(store.Record{}); live || err != nil {
		t.Errorf("SessionOf of nothing = %v, %v", live, err)
	}
	if _, _, err := SessionOf(store.Record{Data: []byte("{")}); err == nil {
		t.Error("SessionOf of a damaged record gives no error")
	}
}
