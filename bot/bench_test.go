package bot_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
	"snowbot/store/bolt"
)

const benchWords = "Have you tried turning it off and on again?"

// A sink is a Teams that takes everything at once.
type sink struct {
	teamsSide
	taken atomic.Int64
	want  int64
	all   chan struct{}
}

func (s *sink) Send(_ context.Context, _ adapter.Reference, a *adapter.Activity) (string, error) {
	if a.Text == benchWords && s.taken.Add(1) == s.want {
		close(s.all)
	}
	return "out", nil
}

func (s *sink) FetchFile(context.Context, adapter.FileRef, int64) ([]byte, string, error) {
	return nil, "", adapter.ErrFileGone
}

func (s *sink) Update(context.Context, adapter.Reference, string, *adapter.Activity) error {
	return nil
}

// BenchmarkAgentsWords measures words of agents in many chats at once, from the post to the settled send: everything but the
// two networks.
func BenchmarkAgentsWords(b *testing.B) {
	const chats = 200
	keys, err := store.NewKeyring(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		b.Fatal(err)
	}
	st, err := bolt.Open(bolt.Options{Path: filepath.Join(b.TempDir(), "snowbot.db"), Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	teams, instance := &sink{want: int64(b.N), all: make(chan struct{})}, &snowSide{}
	x, err := bot.New(bot.Options{Store: st, Teams: teams, ServiceNow: instance, AppID: "app"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	for i := range chats {
		id := fmt.Sprint("chat", i)
		if err := x.Activity(ctx, &adapter.Activity{
			Type: adapter.TypeMessage, ID: "in" + id, Text: "agent please", ServiceURL: "https://smba.example.com/emea/",
			Conversation: &adapter.ConversationAccount{ID: id, TenantID: "tenant"}, From: &adapter.ChannelAccount{ID: "29:" + id}, Recipient: &adapter.ChannelAccount{ID: "28:app"},
		}); err != nil {
			b.Fatal(err)
		}
	}
	sessions := make([]string, chats)
	for i := range sessions {
		for sessions[i] = instance.sessionOf(fmt.Sprint("chat", i)); sessions[i] == ""; sessions[i] = instance.sessionOf(fmt.Sprint("chat", i)) {
			runtime.Gosched()
		}
		if err := x.ServiceNow(ctx, &snow.Event{SessionID: sessions[i], Items: []snow.Item{{ID: "j", Kind: snow.KindJoined}}}); err != nil {
			b.Fatal(err)
		}
	}
	n := b.N
	b.ResetTimer()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := x.ServiceNow(ctx, &snow.Event{SessionID: sessions[i%chats], Items: []snow.Item{
					{ID: fmt.Sprint("m", i), Kind: snow.KindText, Text: benchWords, FromAgent: true},
				}}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	<-teams.all
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}
