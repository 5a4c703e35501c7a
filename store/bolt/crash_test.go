package bolt_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
	"snowbot/store/bolt"
)

// The test binary runs again as the process that is killed, when this names its file.
const childVar = "SNOWBOT_TEST_KILLED_FILE"

// childWriters is how many conversations the child works on at once.
const childWriters = 8

// child applies and settles until it is killed, and says on standard output what was acknowledged: one line
// "applied <conversation> <n>" or "settled <conversation> <n>" for each.
func child(path string) int {
	keys, err := store.NewKeyring([]byte(strings.Repeat("k", store.KeySize)))
	if err == nil {
		err = work(path, keys)
	}
	fmt.Println("error", err)
	return 1
}

func work(path string, keys *store.Keyring) error {
	ctx := context.Background()
	s, err := bolt.Open(bolt.Options{Path: path, Keys: keys})
	if err != nil {
		return err
	}
	var mu sync.Mutex // a line is one write
	say := func(what, conversation string, n int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(os.Stdout, "%s %s %d\n", what, conversation, n)
	}
	failed := make(chan error)
	for i := range childWriters {
		go func() {
			c := fmt.Sprint("c", i)
			for {
				n := 0
				err := s.Apply(ctx, c, nil, func(t *store.Turn) error {
					n = len(t.Record.Data) + 1
					t.Record.Data = append(t.Record.Data, 'x')
					t.Record.Due = t.Now
					t.Send(store.ToTeams, store.Delivery{ID: fmt.Sprint(n), Body: []byte(c)})
					t.Lines = []store.Line{{Data: fmt.Append(nil, n)}}
					return nil
				})
				if err != nil {
					failed <- err
					return
				}
				say("applied", c, n)
			}
		}()
	}
	go func() { failed <- keep(ctx, s, say) }()
	for range 3 {
		go func() {
			for {
				if err := s.Wait(ctx, store.ToTeams); err != nil {
					failed <- err
					return
				}
				l, err := s.Claim(ctx, store.ToTeams, time.Minute, 2)
				if errors.Is(err, store.ErrEmpty) {
					continue
				}
				c, n := l.Lane.Conversation, len(l.Deliveries)
				// With a turn, so that the settle is durable when it returns.
				if err == nil {
					err = s.Settle(ctx, l, store.Result{Done: n}, func(*store.Turn) error { return nil })
				}
				if err != nil {
					failed <- err
					return
				}
				for _, d := range l.Deliveries {
					var n int
					if _, err := fmt.Sscan(d.ID, &n); err != nil {
						failed <- err
						return
					}
					say("settled", c, n)
				}
			}
		}()
	}
	return <-failed
}

// filesOfChild is the conversation of the files that the child keeps, each in place of the one before. It says "kept files <n>".
const filesOfChild = "files"

func keep(ctx context.Context, s *bolt.Store, say func(what, conversation string, n int)) error {
	for {
		n := 0
		err := s.Apply(ctx, filesOfChild, nil, func(t *store.Turn) error {
			t.Record.Data = append(t.Record.Data, 'x')
			n = len(t.Record.Data)
			return nil
		})
		if err == nil {
			err = s.PutFile(ctx, fileOfChild(n))
		}
		if err != nil {
			return err
		}
		say("kept", filesOfChild, n)
	}
}

// fileOfChild is the n-th file: of one slice, or of several.
func fileOfChild(n int) store.File {
	return store.File{
		ID: "f", Conversation: filesOfChild, Expires: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC), Name: fmt.Sprint(n),
		Data: bytes.Repeat([]byte{byte(n)}, n%5*9*store.FilePart+1),
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	keys, err := store.NewKeyring([]byte(strings.Repeat("k", store.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "snowbot.db")
	said := map[string]map[string]int{"applied": {}, "settled": {}, "kept": {}}
	for round := range 12 {
		runAndKill(t, path, 10+37*round, said)
		s, err := bolt.Open(bolt.Options{Path: path, Keys: keys})
		if err != nil {
			t.Fatalf("open after kill %d: %v", round, err)
		}
		check(t, s, said["applied"], said["settled"])
		checkFile(t, s, said["kept"][filesOfChild])
		s.Crash() // and killed again, at once
	}
}

// runAndKill starts the child and kills it after it said a number of lines, which it adds to what was said.
func runAndKill(t *testing.T, path string, lines int, said map[string]map[string]int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	for i := 0; scanner.Scan(); i++ { // to the end: what was said before the kill counts
		if i == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		var what, c string
		var n int
		if k, _ := fmt.Sscan(scanner.Text(), &what, &c, &n); k != 3 {
			t.Fatalf("the child said %q", scanner.Text())
		}
		if said[what] == nil {
			t.Fatalf("the child said %q", scanner.Text())
		}
		said[what][c] = max(said[what][c], n)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}

// checkFile checks that the file is one that was put after the one that was acknowledged last, or that one, and that nothing is left
// of any other.
func checkFile(t *testing.T, s *bolt.Store, kept int) {
	t.Helper()
	f, err := s.File(t.Context(), "f")
	if errors.Is(err, store.ErrNotFound) && kept == 0 {
		if rows := s.Rows(); rows["parts"] != 0 {
			t.Errorf("%d parts of no file", rows["parts"])
		}
		return
	}
	if err != nil {
		t.Errorf("file: %v, and %d were acknowledged", err, kept)
		return
	}
	n, err := strconv.Atoi(f.Name)
	if err != nil || n < kept {
		t.Errorf("file %q, and %d were acknowledged", f.Name, kept)
	}
	if diff := cmp.Diff(fileOfChild(n), f); diff != "" {
		t.Errorf("file %d (-want +got):\n%s", n, diff)
	}
	if got, want := s.Rows()["parts"], (len(f.Data)+store.FilePart-1)/store.FilePart; got != want {
		t.Errorf("%d parts are kept, want the %d of the file", got, want)
	}
}

// check compares what is in the store with what was acknowledged.
func check(t *testing.T, s *bolt.Store, applied, settled map[string]int) {
	t.Helper()
	lanes := map[string][]string{}
	for {
		l, err := s.Claim(t.Context(), store.ToTeams, time.Hour, 100000)
		if errors.Is(err, store.ErrEmpty) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.Deliveries {
			lanes[l.Lane.Conversation] = append(lanes[l.Lane.Conversation], d.ID)
		}
	}
	if s.PossibleRepeats() != len(lanes) {
		t.Errorf("PossibleRepeats = %d, want %d", s.PossibleRepeats(), len(lanes))
	}
	due, err := s.Due(t.Context(), 100)
	if err != nil || len(due) != len(applied) && len(applied) == childWriters {
		t.Errorf("Due = %v, %v, want all of %d", due, err, childWriters)
	}
	for c, n := range applied {
		r, err := s.Load(t.Context(), c)
		if err != nil || len(r.Data) < n {
			t.Errorf("%s: %d turns, %v; %d were acknowledged", c, len(r.Data), err, n)
			continue
		}
		lines, err := s.Lines(t.Context(), c, 1<<20)
		if err != nil || len(lines) != len(r.Data) {
			t.Errorf("%s: %d lines, %v; there were %d turns", c, len(lines), err, len(r.Data))
		}
		// The lane is a run that ends with the last turn and begins after what was settled.
		first := len(r.Data) - len(lanes[c]) + 1
		if first < settled[c]+1 {
			t.Errorf("%s: begins with %d, and %d was settled", c, first, settled[c])
		}
		for i, id := range lanes[c] {
			if id != fmt.Sprint(first+i) {
				t.Errorf("%s: delivery %s at place %d", c, id, first+i)
			}
		}
	}
}
