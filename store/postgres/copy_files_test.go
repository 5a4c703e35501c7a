package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
)

// sameFiles checks that the target has the files of the source, so many, and no others.
func sameFiles(t *testing.T, source, target store.Copyable, want int) {
	t.Helper()
	all, err := source.FileIDs(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, id := range all {
		f, err := source.File(t.Context(), id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		got, wrong := target.File(t.Context(), id)
		if err != nil || wrong != nil {
			t.Fatalf("file %s: %v, and in the target %v", id, err, wrong)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Errorf("file %s (-source +target):\n%s", id, diff)
		}
		n++
	}
	have, err := target.FileIDs(t.Context(), "", 1000)
	if err != nil || n != want || len(have) != want {
		t.Errorf("%d files, %v, of the source's %d, want %d", len(have), err, n, want)
	}
}

// A tired target breaks off after some files.
type tired struct {
	store.Copyable
	left int
}

func (b *tired) PutFile(ctx context.Context, f store.File) error {
	if b.left--; b.left < 0 {
		return errBroken
	}
	return b.Copyable.PutFile(ctx, f)
}

// A careless target loses the last byte of each file.
type careless struct{ store.Copyable }

func (c careless) PutFile(ctx context.Context, f store.File) error {
	f.Data = f.Data[:max(len(f.Data)-1, 0)]
	return c.Copyable.PutFile(ctx, f)
}

func TestCopyOfFilesIsReadBack(t *testing.T) {
	t.Parallel()
	source, target := houses(t)[0].enter(t, false), houses(t)[1].enter(t, true)
	furnish(t, source)
	if err := store.Copy(t.Context(), source, careless{target}, nil); err == nil || !strings.Contains(err.Error(), "reads differently") {
		t.Errorf("Copy: %v, want the loss to be noticed", err)
	}
}

// TestCopyOfFilesGoesOn: what was copied before is left alone, unless it is another by now, or its conversation is gone.
func TestCopyOfFilesGoesOn(t *testing.T) {
	t.Parallel()
	for n := range 2 {
		from, to := houses(t)[n], houses(t)[1-n]
		t.Run("To"+strings.ToUpper(to.kind[:1])+to.kind[1:], func(t *testing.T) {
			t.Parallel()
			source, target := from.enter(t, false), to.enter(t, true)
			furnish(t, source)
			err := source.Apply(t.Context(), "c102", nil, func(turn *store.Turn) error {
				turn.Record.People = []string{"leaver"}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Copy(t.Context(), source, &tired{target, 103}, nil); !errors.Is(err, errBroken) {
				t.Fatalf("Copy: %v, want it broken off", err)
			}
			if n, err := source.Erase(t.Context(), "leaver"); n != 1 || err != nil {
				t.Fatalf("Erase: %d, %v", n, err)
			}
			f := store.File{ID: "f003", Conversation: "c003", Expires: time.Now().Add(time.Minute).Truncate(time.Microsecond), Data: []byte("another")}
			if err := source.PutFile(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			// The conversations from c100 on are copied anew, with the three files that they have left; then f003, and the last one.
			again := &tired{target, 5}
			if err := store.Copy(t.Context(), source, again, nil); err != nil {
				t.Fatal(err)
			}
			if again.left != 0 {
				t.Errorf("%d files were copied anew, want five", 5-again.left)
			}
			sameFiles(t, source, target, 103)
		})
	}
}
