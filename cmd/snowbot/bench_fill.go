package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/store"
)

// fillers is how many copies are made at once, so that a commit carries many.
const fillers = 1024

// fill puts so many conversations into the database of a stage: copies of one that the service has really had, from the
// wish for an agent to the end. The first of them have a delivery that is to be tried in an hour.
func (r *sizeRun) fill(ctx context.Context, s *benchStage, n, waiting int) error {
	conversation, err := chatOnce(ctx, s)
	if err != nil {
		return err
	}
	keys, err := store.ParseKeyring(s.key)
	if err != nil {
		return err
	}
	db, err := databaseURL(s.database).open(ctx, databaseOptions{keys: keys, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer db.Close()
	t, err := newFillTemplate(ctx, db, conversation)
	if err != nil {
		return err
	}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range fillers {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if i%1000 == 0 {
					r.spin(0)
				}
				if err := t.copy(ctx, db, i, i < waiting); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// chatOnce lets one employee have a chat and end it, and stops the service again.
func chatOnce(ctx context.Context, s *benchStage) (conversation string, err error) {
	if _, err := s.serve(ctx); err != nil {
		return "", err
	}
	if err := s.open(1); err != nil {
		return "", err
	}
	plan := loadPlan{Chats: 1, Senders: 1, For: time.Minute, Count: 20}
	if _, err := s.relay(ctx, benchPhase{name: bothWays, employees: true, agents: true}, plan, nil); err != nil {
		return "", err
	}
	reply, err := s.teams.ask(peerOrder{Do: "end"})
	if err != nil {
		return "", err
	}
	if err := settle(ctx, s, time.Second, 0); err != nil {
		return "", err
	}
	return reply.Conversation, s.stop()
}

// A fillTemplate is a conversation as the service has left it.
type fillTemplate struct {
	record store.Record
	lines  []store.Line
	chat   string // its id in Teams
}

func newFillTemplate(ctx context.Context, db *database, conversation string) (t fillTemplate, err error) {
	if t.record, err = db.Load(ctx, conversation); err != nil {
		return t, err
	}
	_, t.chat, _ = strings.Cut(conversation, "/")
	t.lines, err = db.Lines(ctx, conversation, 100)
	return t, err
}

// copy makes the i-th copy, with names of its own wherever the original had some.
func (t *fillTemplate) copy(ctx context.Context, db *database, i int, waits bool) error {
	number := fmt.Sprintf("%012d", i)
	other := func(name string) string { return name[:max(0, len(name)-len(number))] + number }
	chat := t.chat[:len(t.chat)-len(number)] + number
	id := strings.Replace(t.record.ID, t.chat, chat, 1)
	data := bytes.ReplaceAll(t.record.Data, []byte(t.chat), []byte(chat))
	for _, key := range t.record.Keys {
		if _, session, ok := strings.Cut(key, "session/"); ok {
			data = bytes.ReplaceAll(data, []byte(session), []byte(other(session)))
		}
	}
	return db.Apply(ctx, id, nil, func(turn *store.Turn) error {
		turn.Record.Data = data
		for _, key := range t.record.Keys {
			turn.Record.Keys = append(turn.Record.Keys, other(key))
		}
		for _, person := range t.record.People {
			turn.Record.People = append(turn.Record.People, other(person))
		}
		turn.Lines = t.lines
		if waits {
			turn.Send(store.ToServiceNow, store.Delivery{
				ID: "waiting" + number, Kind: "words", NotBefore: turn.Now.Add(time.Hour), Body: []byte(`{"text":"Is anybody there?"}`),
			})
		}
		return nil
	})
}
