package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
	"snowbot/store/bolt"
	"snowbot/store/postgres"
)

// A house is where a store is kept, to be opened again and again.
type house struct {
	kind string
	open func(t *testing.T, copying bool) (store.Copyable, error)
}

func houses(t *testing.T) []house {
	path, url := filepath.Join(t.TempDir(), "snowbot.db"), shared.Schema(t, t.TempDir())
	return []house{
		{"bolt", func(t *testing.T, copying bool) (store.Copyable, error) {
			return bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1), Copying: copying})
		}},
		{"postgres", func(t *testing.T, copying bool) (store.Copyable, error) {
			return postgres.Open(t.Context(), postgres.Options{URL: url, Keys: testKeys(t, 1), Migrate: true, Copying: copying})
		}},
	}
}

func (h house) enter(t *testing.T, copying bool) store.Copyable {
	t.Helper()
	s, err := h.open(t, copying)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// furnish fills a store with everything that there can be. It has more than two slices of conversations.
func furnish(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	apply := func(c string, ids []store.EventID, f func(*store.Turn)) {
		t.Helper()
		if err := s.Apply(ctx, c, ids, func(turn *store.Turn) error { f(turn); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 230 {
		apply(fmt.Sprintf("c%03d", i), []store.EventID{{Name: fmt.Sprint("e", i)}}, func(turn *store.Turn) {
			turn.Record.Data = fmt.Appendf(nil, "data %d", i)
		})
	}
	mask := s.Mask("mia")
	var many []store.EventID
	for i := range 200 {
		many = append(many, store.EventID{Name: fmt.Sprint("many ", i), Keep: time.Duration(i+1) * time.Minute})
	}
	apply("rich", many, func(turn *store.Turn) {
		r := turn.Record
		r.Status, r.Keys, r.People, r.Data = "live", []string{"k2", "k1"}, []string{mask}, []byte("pacing and all")
		r.Due = turn.Now.Add(time.Hour)
		for i := range 5 {
			turn.Send(store.ToTeams, store.Delivery{ID: fmt.Sprint("t", i), Kind: "text", Session: "s", Body: fmt.Appendf(nil, "words %d", i)})
			turn.Send(store.ToServiceNow, store.Delivery{ID: fmt.Sprint("n", i), Body: []byte("x")})
			turn.Send(store.Held, store.Delivery{ID: fmt.Sprint("h", i)})
			turn.Lines = append(turn.Lines, store.Line{Data: fmt.Appendf(nil, "line %d", i)})
		}
		turn.Send(store.ToTicks, store.Delivery{ID: "later", NotBefore: turn.Now.Add(time.Hour)})
		turn.Bury = append(turn.Bury, store.DeadLetter{Reason: "strange", Delivery: store.Delivery{ID: "event", Body: []byte("raw")}})
	})
	for i := range 105 { // more than one list of them
		size := i
		if i%50 == 0 {
			size = 20*store.FilePart + i
		}
		f := store.File{
			ID: fmt.Sprintf("f%03d", i), Conversation: fmt.Sprintf("c%03d", i), Expires: time.Now().Add(time.Hour),
			Name: fmt.Sprint("name ", i), ContentType: "image/png", Data: bytes.Repeat([]byte{byte(i)}, size),
		}
		if i == 7 {
			f.Expires = time.Now().Add(-time.Hour)
		}
		if err := s.PutFile(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []store.Result{
		{Done: 1, Next: store.Bury, Reason: "refused", Outcome: "400"},
		{Next: store.Again, At: time.Now().Add(-time.Minute), Outcome: "503"},
	} {
		l, err := s.Claim(ctx, store.ToTeams, time.Minute, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(ctx, l, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	l, err := s.Claim(ctx, store.ToServiceNow, time.Minute, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(ctx, l); err != nil { // and then the process died
		t.Fatal(err)
	}
}

// seen is what a store shows of itself.
func seen(t *testing.T, s store.Copyable) (all []store.Whole, letters []store.DeadLetter) {
	t.Helper()
	all, err := s.Dump(t.Context(), "", 1<<20, time.Now())
	if err == nil {
		letters, err = s.DumpLetters(t.Context(), "", 1<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all, letters
}

func TestCopy(t *testing.T) {
	t.Parallel()
	for _, way := range [][2]int{{0, 1}, {1, 0}, {0, 0}, {1, 1}} {
		from, to := houses(t)[way[0]], houses(t)[way[1]]
		t.Run(from.kind+"To"+strings.ToUpper(to.kind[:1])+to.kind[1:], func(t *testing.T) {
			t.Parallel()
			source, target := from.enter(t, false), to.enter(t, true)
			furnish(t, source)
			done, all := 0, 0
			if err := store.Copy(t.Context(), source, target, func(d, a int) { done, all = d, a }); err != nil {
				t.Fatal(err)
			}
			if done != 338 || all != 338 { // 231 conversations, two dead letters and 105 files
				t.Errorf("told of %d of %d, want 338", done, all)
			}
			sameFiles(t, source, target, 104)
			conversations, letters := seen(t, source)
			copied, buried := seen(t, target)
			if diff := cmp.Diff(conversations, copied); diff != "" {
				t.Errorf("conversations (-source +target):\n%s", diff)
			}
			if diff := cmp.Diff(letters, buried); diff != "" || len(letters) != 2 {
				t.Errorf("%d dead letters (-source +target):\n%s", len(letters), diff)
			}
			if err := target.Close(); err != nil {
				t.Fatal(err)
			}
			lives(t, source, to.enter(t, false))
		})
	}
}

// lives checks that the copy works as the source would.
func lives(t *testing.T, source, s store.Store) {
	t.Helper()
	ctx := t.Context()
	if got, want := s.Mask("mia"), source.Mask("mia"); got != want {
		t.Errorf("Mask: %s, want %s", got, want)
	}
	for _, key := range []string{"k1", "k2"} {
		if c, err := s.Find(ctx, key); err != nil || c != "rich" {
			t.Errorf("Find(%s): %q, %v", key, c, err)
		}
	}
	for _, e := range []string{"many 199", "many 2", "many 100"} {
		err := s.Apply(ctx, "rich", []store.EventID{{Name: e}}, func(*store.Turn) error { return errors.New("taken for new") })
		if err != nil {
			t.Errorf("the repeat of %q: %v", e, err)
		}
	}
	if st, err := s.Stats(ctx); err != nil || st.Live != 1 || st.DeadLetters != 2 || st.Waiting[store.Held] != 5 {
		t.Errorf("Stats: %+v, %v", st, err)
	}
	l, err := s.Claim(ctx, store.ToTeams, time.Minute, 9)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range l.Deliveries {
		got = append(got, fmt.Sprint(d.ID, " ", string(d.Body), " ", d.Failed))
	}
	if want := []string{"t2 words 2 1", "t3 words 3 0", "t4 words 4 0"}; !cmp.Equal(got, want) {
		t.Errorf("the lane to Teams is %q, want %q", got, want)
	}
	if l, err := s.Claim(ctx, store.ToServiceNow, time.Minute, 9); err != nil || len(l.Deliveries) != 5 || !l.Deliveries[0].Begun {
		t.Errorf("the lane to ServiceNow: %+v, %v, want five, the first one begun", l, err)
	}
	err = s.Apply(ctx, "rich", nil, func(turn *store.Turn) error {
		turn.Move = []store.Move{{From: store.Held, To: store.ToBot}}
		turn.Lines = []store.Line{{Data: []byte("next")}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := s.Lines(ctx, "rich", 2); err != nil || len(lines) != 2 || string(lines[0].Data) != "line 4" || string(lines[1].Data) != "next" {
		t.Errorf("Lines: %q, %v", lines, err)
	}
	if n, err := s.Erase(ctx, s.Mask("mia")); err != nil || n != 1 {
		t.Errorf("Erase: %d, %v", n, err)
	}
}

// A breaking target breaks off after some slices.
type breaking struct {
	store.Copyable
	left int
}

var errBroken = errors.New("the connection is gone")

func (b *breaking) Restore(ctx context.Context, after, last string, all []store.Whole) error {
	if b.left--; b.left < 0 {
		return errBroken
	}
	return b.Copyable.Restore(ctx, after, last, all)
}

// A forgetful target loses a word of what it is given.
type forgetful struct{ store.Copyable }

func (f forgetful) Restore(ctx context.Context, after, last string, all []store.Whole) error {
	less := slices.Clone(all)
	less[0].Record.Data = nil
	return f.Copyable.Restore(ctx, after, last, less)
}

func TestCopyIsReadBack(t *testing.T) {
	t.Parallel()
	source, target := houses(t)[0].enter(t, false), houses(t)[1].enter(t, true)
	furnish(t, source)
	if err := store.Copy(t.Context(), source, forgetful{target}, nil); err == nil || !strings.Contains(err.Error(), "reads differently") {
		t.Errorf("Copy: %v, want the loss to be noticed", err)
	}
}

func TestCopyGoesOn(t *testing.T) {
	t.Parallel()
	for n := range 2 {
		from, to := houses(t)[n], houses(t)[1-n]
		t.Run("To"+strings.ToUpper(to.kind[:1])+to.kind[1:], func(t *testing.T) {
			t.Parallel()
			source, target := from.enter(t, false), to.enter(t, true)
			furnish(t, source)
			if err := store.Copy(t.Context(), source, &breaking{target, 2}, nil); !errors.Is(err, errBroken) {
				t.Fatalf("Copy: %v, want it broken off", err)
			}
			if err := target.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err := to.open(t, false); err == nil {
				s.Close()
				t.Error("an unfinished copy was opened for work")
			} else if !strings.Contains(err.Error(), "unfinished copy") {
				t.Errorf("Open: %v, want to be told of the copy", err)
			}
			// Meanwhile the source was at work once more: a key has another owner.
			for _, c := range []struct{ id, key string }{{"rich", "k2"}, {"c001", "k1"}} {
				err := source.Apply(t.Context(), c.id, nil, func(turn *store.Turn) error {
					turn.Record.Keys = []string{c.key}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			target = to.enter(t, true)
			again := &breaking{target, 2} // the first slice has changed, the second has not, the third is not there
			if err := store.Copy(t.Context(), source, again, nil); err != nil {
				t.Fatal(err)
			}
			if again.left != 0 {
				t.Errorf("%d slices were copied anew, want two", 2-again.left)
			}
			want, _ := seen(t, source)
			got, _ := seen(t, target)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("conversations (-source +target):\n%s", diff)
			}
			if c, err := target.Find(t.Context(), "k1"); err != nil || c != "c001" {
				t.Errorf("Find: %q, %v, want the new owner", c, err)
			}
			if err := store.Copy(t.Context(), source, target, nil); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("a copy into a store that is full: %v, want it refused", err)
			}
		})
	}
}

func TestCopyIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("IntoAnotherCopy", func(t *testing.T) {
		t.Parallel()
		for n := range 2 {
			one, other, target := houses(t)[0].enter(t, false), houses(t)[0].enter(t, false), houses(t)[n].enter(t, true)
			furnish(t, one)
			if err := store.Copy(t.Context(), one, &breaking{target, 1}, nil); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			if err := store.Copy(t.Context(), other, target, nil); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("Copy: %v, want it refused", err)
			}
		}
	})
	t.Run("WhileReplicasWork", func(t *testing.T) {
		t.Parallel()
		url := shared.Schema(t, t.TempDir())
		replica := open(t, postgres.Options{URL: url, Replica: true})
		eventually(t, "the replica is there", func() bool { return replica.Ready(t.Context()) == nil })
		visitor, file := open(t, postgres.Options{URL: url, Copying: true}), houses(t)[0].enter(t, true)
		if err := store.Copy(t.Context(), visitor, file, nil); err == nil || !strings.Contains(err.Error(), "stop them") {
			t.Errorf("Copy from it: %v", err)
		}
		if err := store.Copy(t.Context(), file, visitor, nil); err == nil || !strings.Contains(err.Error(), "stop them") {
			t.Errorf("Copy to it: %v", err)
		}
	})
}
