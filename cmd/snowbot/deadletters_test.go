package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/cmd/leaktest"
	"snowbot/snow/snowtest"
)

const rigToken = "rig-admin-token"

// newAdminRig is a rig whose service has the admin API on.
func newAdminRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, snowtest.Options{})
	r.kill()
	r.env = append(r.env, "ADMIN_TOKEN="+rigToken)
	r.start()
	return r
}

// command runs the binary as the admin of the rig would, and returns what it printed and its exit code.
func (r *rig) command(env []string, args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.within(), "snowbot", args...)
	cmd.Env = append(append(append([]string{}, r.env...), "ADMIN_LISTEN_ADDR="+r.admin), env...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	if !showsWords(args) {
		fmt.Fprintln(r.logs.watch.To(leaktest.Output), out.String())
	}
	fmt.Fprintln(r.logs.watch.To(leaktest.Output), problems.String())
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// does runs a command that has to succeed.
func (r *rig) does(args ...string) string {
	r.t.Helper()
	stdout, stderr, code := r.command(nil, args...)
	if code != 0 {
		r.t.Fatalf("%q: exit %d\n%s%s\n%s", args, code, stdout, stderr, r.logs.String())
	}
	return stdout
}

// letters waits until so many dead letters of a kind are there.
func (r *rig) letters(kind string, n int) []letterView {
	r.t.Helper()
	var found []letterView
	r.until("dead letters of kind "+kind, func() bool {
		found = nil
		for line := range strings.Lines(r.does("dead-letters", "list", "--json")) {
			var v letterView
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				r.t.Fatalf("%q: %v", line, err)
			}
			if v.Kind == kind {
				found = append(found, v)
			}
		}
		return len(found) >= n
	})
	return found
}

func TestServiceDeadLettersAreSentAgain(t *testing.T) {
	t.Parallel()
	r := newAdminRig(t)
	c := r.connect()

	// Teams refuses what the agent says.
	refuse := adaptertest.Fault{
		Kind: adaptertest.Status, Status: http.StatusBadRequest,
		Match: func(f adaptertest.FaultRequest) bool { return bytes.Contains(f.Body, []byte("lost words")) },
	}
	clear := r.teams.AddFault(refuse)
	if _, err := r.snow.Say(r.within(), c.ID, "the first lost words"); err != nil {
		t.Fatal(err)
	}
	first := r.letters("text", 1)[0]
	if first.Reason != "refused" || first.Failed != 1 || first.BodyBytes == 0 || first.Session == "" {
		t.Errorf("the dead letter is %+v", first)
	}
	list, show := r.does("dead-letters", "list"), r.does("dead-letters", "show", first.ID)
	for _, want := range []string{first.ID, "refused", "text", first.Conversation} {
		if !strings.Contains(list, want) || !strings.Contains(show, want) {
			t.Errorf("list or show do not say %q:\n%s\n%s", want, list, show)
		}
	}
	if !strings.Contains(show, "status 400") {
		t.Errorf("show does not say what became of the attempt:\n%s", show)
	}
	if strings.Contains(list+show, "lost words") || strings.Contains(list+show, "Mia") {
		t.Errorf("words or names are shown:\n%s\n%s", list, show)
	}
	if body := r.does("dead-letters", "show", "--body", first.ID); !strings.Contains(body, "the first lost words") {
		t.Errorf("show --body does not show the words:\n%s", body)
	}

	// While the session is on, it goes through.
	clear()
	if got := r.does("dead-letters", "retry", "--id", first.ID); !strings.Contains(got, "retried: 1") {
		t.Errorf("retry says %q", got)
	}
	r.sees("the first lost words")
	if _, stderr, code := r.command(nil, "dead-letters", "retry", "--id", first.ID); code != 1 || !strings.Contains(stderr, "no such dead letter") {
		t.Errorf("retry again: exit %d, %s", code, stderr)
	}

	// After its end, only by force.
	clear = r.teams.AddFault(refuse)
	for _, words := range []string{"the second lost words", "the third lost words"} {
		if _, err := r.snow.Say(r.within(), c.ID, words); err != nil {
			t.Fatal(err)
		}
	}
	late := r.letters("text", 2)
	clear()
	if err := r.snow.End(r.within(), c.ID, "bye"); err != nil {
		t.Fatal(err)
	}
	r.sees("has ended the chat")
	stdout, stderr, code := r.command(nil, "dead-letters", "retry", "--reason", "refused", "--conversation", first.Conversation, "--since", "1h")
	if code != 1 || !strings.Contains(stdout, late[0].ID+": its session is over") || !strings.Contains(stdout, "--force") || !strings.Contains(stderr, "2 of 2") {
		t.Errorf("retry after the end: exit %d\n%s%s", code, stdout, stderr)
	}
	if got := r.api(http.MethodPost, "/api/admin/dead-letters/retry?all=true&limit=1"); !strings.Contains(got, codeSessionOver) || !strings.Contains(got, late[0].ID) {
		t.Errorf("the admin API says %s", got)
	}
	if got := r.api(http.MethodPost, "/api/admin/dead-letters/retry?reason=refused&limit=1&force=true"); !strings.Contains(got, late[0].ID+`","result":"retried"`) {
		t.Errorf("the admin API says %s", got)
	}
	if got := r.does("dead-letters", "retry", "--all", "--force"); !strings.Contains(got, "retried: 1") {
		t.Errorf("forced retry says %q", got)
	}
	r.sees("the third lost words")
	var shown strings.Builder
	for _, m := range r.chat.Messages() {
		shown.WriteString(m.Text + "\n")
	}
	at := 0
	for _, words := range []string{"the first lost words", "the second lost words", "the third lost words"} {
		next := strings.Index(shown.String(), words)
		if next < at || strings.Count(shown.String(), words) != 1 {
			t.Errorf("%q is not there once, and in order:\n%s", words, shown.String())
		}
		at = next
	}
	if got := r.does("dead-letters", "list"); got != "no dead letters\n" {
		t.Errorf("list says %q", got)
	}
	for _, secret := range []string{"lost words", rigToken} {
		if strings.Contains(r.logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestServiceForcedWordsKeepTheirIDs(t *testing.T) {
	t.Parallel()
	r := newAdminRig(t)
	c := r.connect()
	r.hears(c, "Can I talk to a person, please?")
	clear, err := r.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusBadRequest, Action: "message"})
	if err != nil {
		t.Fatal(err)
	}
	r.says("my lost words")
	letter := r.letters("words", 1)[0]
	clear()
	if err := r.snow.End(r.within(), c.ID, ""); err != nil {
		t.Fatal(err)
	}
	r.sees("has ended the chat")
	if stdout, _, code := r.command(nil, "dead-letters", "retry", "--all"); code != 1 || !strings.Contains(stdout, "session is over") {
		t.Errorf("retry after the end: exit %d, %s", code, stdout)
	}
	tries := func() (bodies []string) {
		for _, e := range r.snow.Log() {
			if e.Direction == snowtest.In && strings.Contains(e.RequestBody, "my lost words") {
				var ids struct {
					RequestID string `json:"requestId"`
					Message   struct {
						ClientMessageID string `json:"clientMessageId"`
					} `json:"message"`
				}
				if err := json.Unmarshal([]byte(e.RequestBody), &ids); err != nil {
					t.Fatal(err)
				}
				bodies = append(bodies, ids.RequestID+" "+ids.Message.ClientMessageID)
			}
		}
		return bodies
	}
	if n := len(tries()); n != 1 {
		t.Fatalf("ServiceNow was asked %d times, want once", n)
	}
	r.does("dead-letters", "retry", "--id", letter.ID, "--force")
	r.until("sent again", func() bool { return len(tries()) == 2 })
	if got := tries(); got[0] != got[1] || !strings.Contains(got[0], letter.Delivery) {
		t.Errorf("the ids went from %q to %q", got[0], got[1])
	}
}

func TestServiceAdminAPINeedsItsToken(t *testing.T) {
	t.Parallel()
	off := newRig(t, snowtest.Options{})
	if got := off.ask("Bearer x"); got != http.StatusNotFound {
		t.Errorf("without ADMIN_TOKEN: status %d, want 404", got)
	}
	if _, stderr, code := off.command(nil, "sessions"); code != 1 || !strings.Contains(stderr, "in use") || !strings.Contains(stderr, "start it with ADMIN_TOKEN") {
		t.Errorf("sessions of a service without the admin API: exit %d, %s", code, stderr)
	}
	on := newAdminRig(t)
	for auth, want := range map[string]int{
		"Bearer " + rigToken: http.StatusOK, "": http.StatusUnauthorized, "Bearer wrong": http.StatusUnauthorized, "Bearer ": http.StatusUnauthorized,
	} {
		if got := on.ask(auth); got != want {
			t.Errorf("with %q: status %d, want %d", auth, got, want)
		}
	}
	if _, stderr, code := on.command([]string{"ADMIN_TOKEN=wrong"}, "sessions"); code != 1 || !strings.Contains(stderr, "ADMIN_TOKEN is not the one") {
		t.Errorf("a wrong token: exit %d, %s", code, stderr)
	}
	if got := off.get("http://" + on.addr + "/api/admin/stats"); got != http.StatusNotFound {
		t.Errorf("on the public listener: status %d, want 404", got)
	}
}

// api returns what the admin API answers.
func (r *rig) api(method, path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.within(), method, "http://"+r.admin+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+rigToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %s: status %d, %s, %v", method, path, res.StatusCode, body, err)
	}
	return string(body)
}

// ask returns the status of the admin API.
func (r *rig) ask(authorization string) int {
	req, err := http.NewRequestWithContext(r.within(), http.MethodGet, "http://"+r.admin+"/api/admin/stats", http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestServiceSessionsAreListed(t *testing.T) {
	t.Parallel()
	r := newAdminRig(t)
	if got := r.does("sessions"); got != "no live sessions\n" {
		t.Errorf("sessions says %q", got)
	}
	r.connect()
	table := r.does("sessions")
	var v sessionView
	if err := json.Unmarshal([]byte(r.does("sessions", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	if v.ID == "" || v.Status != "connected" || v.Since.IsZero() || v.Joined.IsZero() || v.Due.IsZero() || !strings.Contains(table, v.ID) {
		t.Errorf("the session is %+v\n%s", v, table)
	}
	if strings.Contains(table, "Mia") || strings.Contains(table, "Sam") || strings.Contains(table, "mia.khan") {
		t.Errorf("names are shown:\n%s", table)
	}

	// Without the service the file itself is opened, and says the same.
	if err := r.proc.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.proc.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := r.does("sessions"); got != table {
		t.Errorf("from the file:\n%s\nwant\n%s", got, table)
	}
	r.start()
	r.says("still there?")
}

func TestDeadLettersOfAFile(t *testing.T) {
	t.Parallel()
	path, _ := filledStore(t)
	run := func(args ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), "snowbot", args...)
		cmd.Env = []string{"DATABASE_URL=bbolt:" + path, "DATA_ENCRYPTION_KEY=" + complete()["DATA_ENCRYPTION_KEY"], "ADMIN_LISTEN_ADDR=127.0.0.1:1"}
		out, err := printed(t, cmd)
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run("dead-letters", "list", "--reason", "too old"); code != 0 || strings.Count(out, "\n") != 4 {
		t.Errorf("list: exit %d\n%s", code, out)
	}
	if out, code := run("dead-letters", "retry", "--all", "--force"); code != 1 || !strings.Contains(out, "an event") || !strings.Contains(out, "6 of 6") {
		t.Errorf("retry: exit %d\n%s", code, out)
	}
	if out, code := run("dead-letters", "drop", "--until", "2026-11-22T08:00:02Z", "--yes"); code != 0 || !strings.Contains(out, "dropped: 2") {
		t.Errorf("drop: exit %d\n%s", code, out)
	}
	if out, code := run("dead-letters", "list", "--json"); code != 0 || strings.Count(out, "\n") != 4 || strings.Contains(out, "payslip") {
		t.Errorf("list: exit %d\n%s", code, out)
	}
	if out, code := run("dead-letters", "drop", "--all", "--yes", "--json"); code != 0 || strings.Count(out, `"result":"dropped"`) != 4 {
		t.Errorf("drop: exit %d\n%s", code, out)
	}
}
