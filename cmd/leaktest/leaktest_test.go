package leaktest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

func TestReport(t *testing.T) {
	const row = `{"package":"%s","test":"TestX","bytes":{"log":1,"metrics":1,"refusal":1,"output":1,"server":1},"secrets":1,"leaks":%d}` + "\n"
	all := ""
	for _, p := range []string{"adapter", "bot", "history", "snow", "bolt", "postgres", "snowbot"} {
		all += fmt.Sprintf(row, p, 0)
	}
	for _, tt := range []struct{ name, report, want string }{
		{"nothing found", all, ""},
		{"one found", all + fmt.Sprintf(row, "bot", 1), "bot, TestX: 1 secrets"},
		{"one found in a package that has to search nothing", all + fmt.Sprintf(row, "other", 2), "other, TestX: 2 secrets"},
		{"a package that searched nothing", strings.Replace(all, `"bolt"`, `"bot"`, 1), "bolt: nothing was searched of kind refusal"},
		{"no metrics", strings.Replace(all, `"metrics":1`, `"metrics":0`, 2), "bot: nothing was searched of kind metrics"},
		{"no secrets", strings.Replace(all, `"secrets":1`, `"secrets":0`, 1), "adapter: no secret"},
		{"an empty report", "", "snow: nothing"},
		{"a torn report", all[:len(all)-10], "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := leaktest.Reported(strings.NewReader(tt.report), &out)
			if (err == nil) != (tt.want == "") || !strings.Contains(fmt.Sprint(err), tt.want) && err != nil {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err == nil && !strings.Contains(out.String(), "0 secrets found") {
				t.Errorf("it says %s", out.String())
			}
		})
	}
}

// TestWatchesReport: what is found is in the report as well, so that no test can keep it to itself.
func TestWatchesReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	t.Setenv("LEAKTEST_REPORT", path)
	w := leaktest.Whole("all of it")
	w.Secret("the-password")
	w.Log().Info("the-password")
	fmt.Fprint(w.To(leaktest.Metrics), "metric 1")
	if err := w.End(); err == nil || !strings.Contains(err.Error(), "the-password") {
		t.Errorf("End: %v", err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"package":"leaktest"`, `"test":"all of it"`, `"metrics":8`, `"leaks":1`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the report lacks %s: %s", want, raw)
		}
	}
}

func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	const wire = `{"type":"message","id":"a:1","text":"my \"payslip\"\nis wrong","from":{"id":"29:x","name":"Ada King"},
		"emailId":"ada@example.com","body":[{"value":"<b>look at it</b>"}],"value":"approve",
		"attachments":[{"name":"payslip.pdf"}],"link":"https://bot.example.com/files/0123456789abcdefghij"}`
	for _, tt := range []struct {
		name  string
		write func(w *leaktest.Watch)
		leak  string // "" for none
	}{
		{"words", func(w *leaktest.Watch) { w.Log().Info("sent", "text", "my \"payslip\"\nis wrong") }, "payslip"},
		{"a line of them", func(w *leaktest.Watch) { w.Log().Debug("x", "err", errors.New("bad: is wrong")) }, "is wrong"},
		{"a name", func(w *leaktest.Watch) { w.Log().Info("from Ada King") }, "Ada King"},
		{"an address", func(w *leaktest.Watch) { w.Log().Info("x", "url", "https://x/members/ada%40example.com") }, "ada%40example.com"},
		{"bytes, as PostgreSQL writes them", func(w *leaktest.Watch) {
			fmt.Fprintf(w.To(leaktest.Server), "$1 = '\\x01%x'", "my \"payslip\"\nis wrong")
		}, "6d7920"},
		{"the name of a file", func(w *leaktest.Watch) { w.Log().Warn("refused", "file", "payslip.pdf") }, "payslip.pdf"},
		{"the address of a file", func(w *leaktest.Watch) { w.Log().Info("GET /files/0123456789abcdefghij") }, "0123456789"},
		{"an error", func(w *leaktest.Watch) { _ = w.Refused(errors.New("no person Ada King")) }, "Ada King"},
		{"a person by the mark", func(w *leaktest.Watch) { fmt.Fprint(w.To(leaktest.Output), leaktest.Mark) }, "Khan"},
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
