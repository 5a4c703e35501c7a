package main

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"snowbot/snow/snowtest"
)

// TestServiceOnPostgres: everything that works on a file works on PostgreSQL, a kill in the middle and the commands included.
func TestServiceOnPostgres(t *testing.T) {
	t.Parallel()
	url := newSchema(t)
	r := newRig(t, snowtest.Options{}, "DATABASE_URL="+url, "ADMIN_TOKEN="+rigToken)
	c := r.connect()
	if err := r.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r.says("word " + strconv.Itoa(i))
	}
	r.kill()
	if out := r.does("sessions"); !strings.Contains(out, "connected") { // opens the database, since no service runs
		t.Errorf("sessions without the service:\n%s", out)
	}
	if err := r.snow.SetDown(snowtest.DownOff); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.hears(c, "word 4")
	if out := r.does("sessions"); !strings.Contains(out, "connected") {
		t.Errorf("sessions:\n%s", out)
	}
	if out := r.does("dead-letters", "list"); !strings.Contains(out, "no dead letters") {
		t.Errorf("dead letters:\n%s", out)
	}
	if found, _ := r.doctor(); found["database"].Result != findingOK || found["encryption key"].Result != findingOK {
		t.Errorf("doctor beside the service: %+v, %+v", found["database"], found["encryption key"])
	}
	const other = "EBESExQVFhcYGRobHB0eHyABAgMEBQYHCAkKCwwNDg8="
	if found, code := r.doctor("DATA_ENCRYPTION_KEY=" + other); code == 0 || found["encryption key"].Result != findingFailed {
		t.Errorf("doctor with another key: exit %d, %+v", code, found["encryption key"])
	}
	if found, code := r.doctor("DATABASE_URL=postgres://snowbot@127.0.0.1:1/snowbot"); code == 0 || found["database"].Result != findingFailed {
		t.Errorf("doctor without a server: exit %d, %+v", code, found["database"])
	}
	if err := r.snow.End(r.within(), c.ID, "bye"); err != nil {
		t.Fatal(err)
	}
	r.sees("has ended the chat")
}

// TestServiceThatMayNotMigrate: with database.migrate off a start refuses an old schema, until snowbot migrate was run.
func TestServiceThatMayNotMigrate(t *testing.T) {
	t.Parallel()
	url := newSchema(t)
	r := newRig(t, snowtest.Options{}) // for its emulators
	r.kill()
	conf := r.file("config.yaml", "database: {migrate: false}\n")
	env := []string{"DATABASE_URL=" + url, "SNOWBOT_CONFIG=" + conf}
	if _, stderr, code := r.command(env, "serve"); code != 1 || !strings.Contains(stderr, "run snowbot migrate first") {
		t.Errorf("serve on an empty database: exit %d\n%s", code, stderr)
	}
	if found, code := r.doctor(env...); code != 0 || !strings.Contains(found["database"].Detail, "will be made") {
		t.Errorf("doctor on an empty database: exit %d, %+v", code, found["database"])
	}
	for _, want := range []string{"migrated from schema 0 to", "up to date"} {
		if stdout, stderr, code := r.command(env, "migrate"); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("migrate: exit %d, %q, want %q\n%s", code, stdout, want, stderr)
		}
	}
	r.env = append(r.env, env...)
	r.start()
	r.connect()
}

// TestServiceBesideAnother: a second process on one file is refused at once, and told of PostgreSQL.
func TestServiceBesideAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	began := time.Now()
	_, stderr, code := r.command([]string{"ADMIN_LISTEN_ADDR=127.0.0.1:0"}, "serve")
	if code != 1 || !strings.Contains(stderr, "in use") || !strings.Contains(stderr, "PostgreSQL") {
		t.Errorf("a second service: exit %d\n%s", code, stderr)
	}
	if took := time.Since(began); took > 5*time.Second { // it gives up after less than one; the rest is for a busy machine
		t.Errorf("it was refused after %v", took)
	}
	if got := r.get("http://" + r.addr + "/readyz"); got != http.StatusOK {
		t.Errorf("the first one answers %d", got)
	}
}

// beside starts another replica, on the same database and between the same emulators, which speak to the new one from then on.
func (r *rig) beside() *rig {
	r.t.Helper()
	b := &rig{t: r.t, teams: r.teams, snow: r.snow, mia: r.mia, chat: r.chat, env: r.env, logs: r.logs}
	b.start()
	r.t.Cleanup(func() { b.kill() })
	return b
}

// serves sends what Teams says to this replica.
func (r *rig) serves() { r.teams.SetBot("http://" + r.addr + "/api/messages") }

// TestAnyReplicaTakesAnyRequest: a session goes on whichever replica hears of it, and when one of them dies.
func TestAnyReplicaTakesAnyRequest(t *testing.T) {
	t.Parallel()
	a := newRig(t, snowtest.Options{}, "DATABASE_URL="+newSchema(t), "ADMIN_TOKEN="+rigToken)
	b := a.beside() // which ServiceNow speaks to
	a.serves()
	c := a.connect()
	a.says("to the first replica")
	a.hears(c, "to the first replica")
	if _, err := a.snow.Say(a.within(), c.ID, "to the second replica"); err != nil {
		t.Fatal(err)
	}
	a.sees("to the second replica")
	for _, r := range []*rig{a, b} {
		if out := r.does("sessions"); !strings.Contains(out, "connected") {
			t.Errorf("sessions:\n%s", out)
		}
	}
	b.serves()
	a.kill()
	for i := range 5 {
		b.says("word " + strconv.Itoa(i))
	}
	b.hears(c, "word 4")
	chat, err := b.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	said := chat.Said(snowtest.FromUser)
	if got := strings.Join(said[len(said)-6:], ", "); got != "to the first replica, word 0, word 1, word 2, word 3, word 4" {
		t.Errorf("the agent sees %q", got)
	}
	if err := b.snow.End(b.within(), c.ID, "bye"); err != nil {
		t.Fatal(err)
	}
	b.sees("has ended the chat")
}

// TestDatabaseGoesAway: without its database the service is alive and not ready, and answers 503 to what it cannot keep.
// With it, it goes on by itself; what was repeated is there once.
func TestDatabaseGoesAway(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	r := newRig(t, snowtest.Options{}, "DATABASE_URL="+server.URL())
	c := r.connect()
	if err := server.Crash(); err != nil {
		t.Fatal(err)
	}
	ready := "http://" + r.addr + "/readyz"
	r.until("not ready", func() bool { return r.get(ready) == http.StatusServiceUnavailable })
	if got := r.get("http://" + r.addr + "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d", got)
	}
	began := time.Now()
	words, err := r.chat.Say(r.within(), r.mia, "while it is away")
	if words.Status != http.StatusServiceUnavailable {
		t.Errorf("Teams was answered %d, %v, want 503", words.Status, err)
	}
	if took := time.Since(began); took > 14*time.Second {
		t.Errorf("Teams was answered after %v", took)
	}
	began = time.Now()
	var lost *snowtest.PostError
	if _, err := r.snow.Say(r.within(), c.ID, "nobody reads this"); !errors.As(err, &lost) || lost.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ServiceNow was answered %v, want 503", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("ServiceNow was answered after %v", took)
	}
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	r.until("ready again", func() bool { return r.get(ready) == http.StatusOK })
	for range 2 { // Teams repeats, and does not hear the first answer
		if p, err := r.chat.Repeat(r.within(), words); err != nil || p.Status != http.StatusOK {
			t.Errorf("the repeat was answered %d, %v", p.Status, err)
		}
	}
	r.says("with it")
	r.hears(c, "with it")
	chat, err := r.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	said := chat.Said(snowtest.FromUser)
	if got := strings.Join(said[len(said)-3:], ", "); !strings.HasSuffix(got, "?, while it is away, with it") {
		t.Errorf("the agent sees %q", got)
	}
	if _, err := r.snow.Say(r.within(), c.ID, "this one arrives"); err != nil {
		t.Fatal(err)
	}
	r.sees("this one arrives")
}
