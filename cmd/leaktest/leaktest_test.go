package leaktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"snowbot/cmd/leaktest"
)

// A recorder takes the errors of a test that is to fail.
type recorder struct {
	testing.TB
	cleanup []func()
	errors  []string
}

func (r *recorder) Cleanup(f func())  { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }

func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	const wire = `{"type":"message","id":"a:1","text":"my \"payslip\"\nis wrong","from":{"id":"29:x","name":"Ada King"},
		"emailId":"ada@example.com","body":[{"value":"<b>look at it</b>"}],"value":"approve"}`
	for _, tt := range []struct {
		name  string
		write func(w *leaktest.Watch)
		leak  string // "" for none
	}{
		{"words", func(w *leaktest.Watch) { w.Log().Info("sent", "text", "my \"payslip\"\nis wrong") }, "payslip"},
		{"a line of them", func(w *leaktest.Watch) { w.Log().Debug("x", "err", errors.New("bad: is wrong")) }, "is wrong"},
		{"a name", func(w *leaktest.Watch) { w.Log().Info("from Ada King") }, "Ada King"},
		{"an address", func(w *leaktest.Watch) { w.Log().Info("x", "url", "https://x/members/ada%40example.com") }, "ada%40example.com"},
		{"an agent's words", func(w *leaktest.Watch) { w.Log().Info("x", "html", "<b>look at it</b>") }, "look at it"},
		{"a secret", func(w *leaktest.Watch) { fmt.Fprint(w, "metric{label=\"the-password\"} 1") }, "the-password"},
		{"a token", func(w *leaktest.Watch) { w.Log().Info("eyJhbGciOiJSUzI1NiJ9.e30.AA") }, "eyJhbGci"},
		{"a header", func(w *leaktest.Watch) { w.Log().Info("Authorization: Bearer x") }, "Bearer"},
		{"ids, and a word that means nothing by itself", func(w *leaktest.Watch) { w.Log().Info("approve", "activity", "a:1", "person", "29:x") }, ""},
		{"nothing", func(*leaktest.Watch) {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			w := leaktest.New(r)
			w.Wire(wire)
			w.Secret("the-password")
			tt.write(w)
			for _, f := range r.cleanup {
				f()
			}
			got := strings.Join(r.errors, "\n")
			if (got == "") != (tt.leak == "") || !strings.Contains(got, tt.leak) {
				t.Errorf("errors %q, want one about %q", got, tt.leak)
			}
		})
	}
}
