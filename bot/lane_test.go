package bot

import (
	"context"
	"errors"
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
			b.room.enter(b.claim(context.WithoutCancel(ctx), l, time.Now()))
			c, course, _ := b.room.take(store.ToTeams)
			b.follow(ctx, c, course)
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
