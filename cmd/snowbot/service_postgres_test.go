package main

import (
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
