package bot

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// A file that came with words that go nowhere is told of, and noted in the transcript.
func TestAFileLeftBehindIsTold(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*change, *employeeEvent){
		"lapsed":    func(c *change, e *employeeEvent) { c.state.Lapsed, e.intent = c.now.Add(-time.Minute), IntentNone },
		"elsewhere": func(_ *change, e *employeeEvent) { e.elsewhere = true },
		"outage":    func(c *change, _ *employeeEvent) { c.facts.outage = true },
	} {
		w := newWorld(t)
		e := words("agent", IntentAgent)
		e.files = []adapter.FileRef{{Name: "a.pdf"}}
		c := &change{rules: &w.rules, now: w.now, seed: "x", state: w.state(), turn: &store.Turn{Record: &w.record, Now: w.now}}
		prepare(c, e)
		e.apply(c)
		var said line
		for _, l := range c.turn.Lines {
			if err := json.Unmarshal(l.Data, &said); err != nil {
				t.Fatal(err)
			}
		}
		if said.Text != "file: a.pdf" || !c.tells(TextFileNotRelayed) {
			t.Errorf("%s: noted %q, sent %v", name, said.Text, kinds(c.turn.Deliver))
		}
	}
	w := newWorld(t)
	e := words("", IntentNone)
	e.files = []adapter.FileRef{{Name: "a.pdf"}}
	c := &change{rules: &w.rules, now: w.now, seed: "x", state: w.state(), turn: &store.Turn{Record: &w.record, Now: w.now}}
	if c.tellLost(e); !c.tells(TextFileNotRelayed) {
		t.Errorf("lost: sent %v", kinds(c.turn.Deliver))
	}
}

// tells reports whether the employee is told something.
func (c *change) tells(key TextKey) bool {
	for _, o := range c.turn.Deliver {
		if b, err := decodeBody(o.Body); err == nil && o.Direction == store.ToTeams && strings.Contains(b.Activity.Text, c.texts().Say(key)) {
			return true
		}
	}
	return false
}

func TestOtherNamesOfTypesPass(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"application/x-zip-compressed": "application/zip", "application/x-pdf": "application/pdf", "image/x-png; q=1": "image/png",
		"audio/mp3": "audio/mpeg", "text/html": "text/html", "?": "application/octet-stream",
	} {
		if got := plainType(said); got != want {
			t.Errorf("plainType(%q) = %q, want %q", said, got, want)
		}
	}
}

// While it fetches a file, a claim takes nothing of the tenant's rate and is no probe of a host.
func TestAFetchIsSetAside(t *testing.T) {
	t.Parallel()
	r, h := newRoom(1), newHost("host")
	report, _ := h.ask()
	c := &claim{tenant: r.tenant("tenant"), host: h, report: report}
	c.tenant.flying++
	r.aside(c)
	if n := c.tenant.free(r.now()); n != 1 || c.report != nil {
		t.Errorf("set aside, %d calls are free", n)
	}
	if !r.back(c) || c.report == nil || c.tenant.flying != 1 {
		t.Error("it may not go on")
	}
	r.aside(c)
	c.tenant.flying++ // another one took its place
	if r.back(c) {
		t.Error("it goes on beyond the rate")
	}
	if r.finish(c, 0, errNoCall); c.tenant.flying != 1 {
		t.Errorf("%d calls are in flight, want the other one", c.tenant.flying)
	}
}
