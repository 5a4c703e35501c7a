package store_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"snowbot/store"
)

func TestCutMakesStringsFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(r, "bytes"))
		s = strings.Repeat(s, rapid.IntRange(0, 200).Draw(r, "times"))
		got := store.Cut(s)
		if len(got) > store.MaxString || !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			r.Fatalf("Cut(%q) = %q", s, got)
		}
		if got != "" && store.CheckID("id", got) != nil {
			r.Fatalf("Cut(%q) is no id", s)
		}
		if utf8.ValidString(s) && len(s) <= store.MaxString && !strings.Contains(s, "\x00") && got != s {
			r.Fatalf("Cut(%q) = %q", s, got)
		}
	})
	long := strings.Repeat("é", store.MaxString)
	if got := store.Cut(long); got != long[:store.MaxString] {
		t.Errorf("Cut kept %d bytes", len(got))
	}
}
