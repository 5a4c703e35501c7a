package bot

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// A shyTeams must not be called.
type shyTeams struct {
	Teams
	t *testing.T
}

func (s shyTeams) Send(context.Context, adapter.Reference, *adapter.Activity) (string, error) {
	s.t.Error("a send was begun after the stop")
	return "", errors.New("stopped")
}

func TestNothingIsBegunAfterTheStop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		take func(ctx context.Context, b *Bot, l *store.Lease)
	}{
		{"by whoever claimed it", func(ctx context.Context, b *Bot, l *store.Lease) { b.receive(ctx, l, time.Now()) }},
		{"by whoever it was handed to", func(ctx context.Context, b *Bot, l *store.Lease) {
			c := b.claim(context.WithoutCancel(ctx), l, time.Now())
			if !b.room.admit(c) {
				panic("the room is empty, and it has to wait")
			}
			b.follow(ctx, c, goOn)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}})
			rules, err := Rules{Pacing: true}.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			b, err := New(Options{Store: m.st, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app", Rules: rules})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.st.Apply(t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
				turn.Send(store.ToTeams, store.Delivery{ID: "d", Kind: kindText, Body: body{Activity: plain("words")}.encode()})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			stopped, stop := context.WithCancel(t.Context())
			stop()
			tt.take(stopped, b, m.claim(store.ToTeams))
			b.letAllGo(t.Context())
			if l := m.claim(store.ToTeams); l.Deliveries[0].ID != "d" || l.Deliveries[0].Failed != 0 {
				t.Errorf("the lane's head is %+v, want the delivery as it was", l.Deliveries[0])
			}
			if b.room.windows["tenant/chat"].flying != 0 {
				t.Error("the send is still counted as under way")
			}
		})
	}
}

func TestAnEndIsNotHeldUpByWhatGoesBeforeIt(t *testing.T) {
	t.Parallel()
	m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}})
	b, err := New(Options{Store: m.st, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app", Rules: Rules{Pacing: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.st.Apply(t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
		for _, kind := range []string{kindCard, kindText, kindEnd} {
			turn.Send(store.ToTeams, store.Delivery{ID: kind, Kind: kind, Body: body{Activity: plain("words")}.encode()})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	l, err := m.st.Claim(t.Context(), store.ToTeams, time.Minute, b.runLimit(store.ToTeams))
	if err != nil {
		t.Fatal(err)
	}
	if c := b.claim(t.Context(), l, time.Now()); c.rank != rankEnd {
		t.Errorf("a lane with an end in it has rank %d, want that of the end", c.rank)
	}
}

// swiftTeams takes everything.
type swiftTeams struct{ Teams }

func (swiftTeams) Send(context.Context, adapter.Reference, *adapter.Activity) (string, error) {
	return "id", nil
}

func TestLanesThatWaitAreFreeAfterTheStop(t *testing.T) {
	t.Parallel()
	m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}})
	b, err := New(Options{Store: m.st, Teams: swiftTeams{}, ServiceNow: struct{ ServiceNow }{}, AppID: "app", Rules: Rules{Pacing: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.st.Apply(t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
		for i := range 20 { // more than may go at once, and notices are not merged
			turn.Send(store.ToTeams, store.Delivery{ID: fmt.Sprint(i), Kind: kindNotice, Body: body{Activity: plain("words")}.encode()})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(running) }()
	for b.room.lanes()[store.ToTeams] == 0 {
		runtime.Gosched()
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := m.st.Claim(t.Context(), store.ToTeams, time.Minute, 1); err != nil && !errors.Is(err, store.ErrEmpty) {
		t.Fatal(err)
	} else if err != nil { // or the window was just free, and the last send is on its way out
		if s, _ := m.st.Stats(t.Context()); s.Waiting[store.ToTeams] > 0 {
			t.Errorf("%d deliveries wait, and their lane is not free", s.Waiting[store.ToTeams])
		}
	}
}

func TestAnAnswerOfTheBotThatIsTooLargeToKeepIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	b, err := New(Options{
		Store: newMorgue(t, &state{}).st, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app",
		Handler: func(context.Context, *adapter.Activity) ([]*adapter.Activity, error) {
			return []*adapter.Activity{plain(strings.Repeat("x", store.MaxData))}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := &sentEvent{to: store.ToBot, body: body{Activity: plain("words")}}
	if err := b.toBot(t.Context(), e); err == nil {
		t.Error("the answer was taken; its commit is refused each time, and the bot asked for ever")
	}
}

// A forgetfulStore does not read anything the first time.
type forgetfulStore struct {
	store.Store
	reads int
}

func (s *forgetfulStore) Load(ctx context.Context, conversation string) (store.Record, error) {
	if s.reads++; s.reads == 1 {
		return store.Record{}, context.DeadlineExceeded
	}
	return s.Store.Load(ctx, conversation)
}

// What a lane has to wait for is in its record: nothing of it is sent without.
func TestALaneWhoseConversationCannotBeReadSendsNothing(t *testing.T) {
	t.Parallel()
	m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}})
	b, err := New(Options{Store: &forgetfulStore{Store: m.st}, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app", Rules: Rules{Pacing: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.st.Apply(t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
		turn.Send(store.ToTeams, store.Delivery{ID: "d", Kind: kindNotice, Body: body{Activity: plain("words")}.encode()})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.receive(t.Context(), m.claim(store.ToTeams), time.Now())
	l, err := m.st.Claim(t.Context(), store.ToTeams, time.Minute, 1)
	for ; errors.Is(err, store.ErrEmpty); l, err = m.st.Claim(t.Context(), store.ToTeams, time.Minute, 1) { // in a moment
		if err := m.st.Wait(t.Context(), store.ToTeams); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	d := l.Deliveries[0]
	if len(d.Attempts) != 1 || strings.HasPrefix(d.Attempts[0].Outcome, unclearMark) {
		t.Errorf("attempts = %+v, want one that surely sent nothing", d.Attempts)
	}
}

func TestWhatIsGivenUpAfterAnUnclearTryIsUnclear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome string
		want    failure
	}{
		{unclearMark + "status 502", failUnclear},
		{"status 429", failTooOld},
	} {
		m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}})
		b, err := New(Options{Store: m.st, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.st.Apply(t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
			turn.Send(store.ToTeams, store.Delivery{ID: "d", Kind: kindText, Body: body{Activity: plain("words")}.encode()})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := m.st.Settle(t.Context(), m.claim(store.ToTeams), store.Result{Next: store.Again, Outcome: tt.outcome}, nil); err != nil {
			t.Fatal(err)
		}
		l := m.claim(store.ToTeams)
		late := &adapter.Error{Op: "send", StatusCode: 429, Written: true}
		if v := b.rules.judge(store.ToTeams, l.Deliveries[0], nil, late, time.Now().Add(time.Hour)); v.why != tt.want {
			t.Errorf("after %q: too old at a send is %q, want %q", tt.outcome, v.why, tt.want)
		}
		b.follow(t.Context(), b.claim(t.Context(), l, time.Now()), giveUp)
		letters, err := m.st.DeadLetters(t.Context(), store.DeadLetterFilter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) != 1 || letters[0].Reason != string(tt.want) {
			t.Errorf("after %q: dead letters %+v, want one that is %q", tt.outcome, letters, tt.want)
		}
	}
}
