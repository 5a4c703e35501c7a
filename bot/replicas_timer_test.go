package bot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// TestATimerFiresOnceOverReplicas lets the timers of many sessions run out at once, in sight of three replicas which all set
// about every one of them; one replica stops while it is at it.
func TestATimerFiresOnceOverReplicas(t *testing.T) {
	t.Parallel()
	const replicas, sessions = 3, 30
	server, err := postgrestest.Start(postgrestest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	dsn := server.Schema(t, t.TempDir())
	d := &desk{t: t}
	if d.teams, err = adaptertest.New(adaptertest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.teams.Close() })
	if d.keys, err = store.NewKeyring(bytes.Repeat([]byte{7}, store.KeySize)); err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64 // of the clock
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	snow := &snowSide{}
	together := make(chan struct{})
	var arrived atomic.Int32
	var all []*replica
	for i := range replicas {
		st, err := postgres.Open(t.Context(), postgres.Options{URL: dsn, Keys: d.keys, Now: now, Migrate: true, MaxConns: 8, Replica: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		r := &replica{Store: st, ended: make(chan error, 1), through: make(chan struct{})}
		r.meet = func(timers int) {
			if timers != sessions {
				t.Errorf("a replica sees %d timers that have run out, want %d", timers, sessions)
			}
			if arrived.Add(1) == replicas {
				close(together)
			}
			select {
			case <-together:
			case <-t.Context().Done():
			}
		}
		if r.bot, err = bot.New(bot.Options{
			Store: r, Teams: d.connector(slog.New(slog.DiscardHandler)), ServiceNow: snow, AppID: d.teams.AppID(), Workers: 4, Now: now,
			Replicas: st.Replicas, LostSettles: st.LostSettles,
		}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		r.stop = stop
		if i == 0 {
			r.leaveAt = sessions / 4
		}
		go func() { r.ended <- r.bot.Run(ctx) }()
		t.Cleanup(func() {
			r.stop()
			if err := <-r.ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
		all = append(all, r)
	}
	var chats []*adaptertest.Conversation
	for i := range sessions {
		u := d.teams.AddUser(adaptertest.User{Name: "Mia Khan", Email: fmt.Sprintf("mia%d@example.com", i)})
		c := d.teams.Personal(u)
		chats = append(chats, c)
		if err := all[i%replicas].bot.Activity(t.Context(), &adapter.Activity{
			Type: adapter.TypeMessage, ID: fmt.Sprint("in", i), ServiceURL: d.teams.ServiceURL(), ChannelID: "msteams", Text: "agent please",
			Conversation: &adapter.ConversationAccount{ID: c.ID(), TenantID: d.teams.TenantID(), ConversationType: "personal"},
			From:         &adapter.ChannelAccount{ID: u.ID, AADObjectID: u.AADObjectID, Name: u.Name},
			Recipient:    &adapter.ChannelAccount{ID: d.teams.BotID(), Name: "Bot"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	d.store = all[1].Store
	d.settles()                         // nobody's lease is to run out when the clock is set
	ahead.Store(int64(2 * time.Minute)) // ServiceNow has not answered any of them

	const notice = "did not answer"
	times := func(c *adaptertest.Conversation) (n int) {
		for _, m := range c.Messages() {
			if m.FromBot && m.Shows(notice) {
				n++
			}
		}
		return n
	}
	// What the one that stops has claimed and not begun is another's only when its lease has run out.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.teams.Wait(ctx, func() bool {
		return !slices.ContainsFunc(chats, func(c *adaptertest.Conversation) bool { return times(c) == 0 })
	}); err != nil {
		t.Errorf("not everybody was told: %v", err)
	}
	for _, r := range all[1:] { // have gone through all the timers
		select {
		case <-r.through:
		case <-ctx.Done():
			t.Fatal("a replica never came to the end of its timers")
		}
	}
	d.store = all[2].Store // which has not been asked, and so does not say what it said before
	d.settles()
	for i, c := range chats {
		if n := times(c); n != 1 {
			t.Errorf("employee %d was told %d times of the end, want once", i, n)
		}
	}
	if left := all[0].turns.Load(); left != sessions/4 {
		t.Errorf("the replica that was to stop after %d timers went on to %d", sessions/4, left)
	}
}

// A replica is a bot whose store has it meet the others when timers have run out, so that each has the same list of them.
type replica struct {
	*postgres.Store
	bot     *bot.Bot
	stop    context.CancelFunc
	ended   chan error
	meet    func(timers int)
	met     bool
	once    sync.Once
	through chan struct{} // closed when it has gone through its list
	leaveAt int32         // unless 0: stop after so many timers
	turns   atomic.Int32  // of timers
}

func (r *replica) Due(ctx context.Context, limit int) ([]string, error) {
	if r.met {
		r.once.Do(func() { close(r.through) })
	}
	due, err := r.Store.Due(ctx, limit)
	if len(due) > 0 && !r.met {
		r.met = true
		r.meet(len(due))
	}
	return due, err
}

func (r *replica) Apply(ctx context.Context, conversation string, ids []store.EventID, f func(*store.Turn) error) error {
	timer := ids == nil && ctx.Err() == nil
	err := r.Store.Apply(ctx, conversation, ids, f)
	if timer && r.turns.Add(1) == r.leaveAt {
		r.stop()
	}
	return err
}
