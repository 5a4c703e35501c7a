package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

// person names the rig's employee for a command.
func (r *rig) person(args ...string) []string {
	return append(args, "--tenant", r.teams.TenantID(), r.mia.AADObjectID)
}

func TestPersonIsExportedAndErased(t *testing.T) {
	t.Parallel()
	r := newAdminRig(t)
	c := r.connect()
	for _, running := range []bool{true, false} {
		if !running {
			r.kill()
		}
		var page personPage
		if err := json.Unmarshal([]byte(r.does(r.person("export")...)), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Conversations) != 1 || page.Conversations[0].Status == "" || len(page.Conversations[0].Transcript) == 0 ||
			!strings.Contains(string(page.Conversations[0].Transcript[0].Line), "talk to a person") {
			t.Errorf("export, with the service running %t: %+v", running, page)
		}
	}
	if _, stderr, code := r.command(nil, r.person("erase", "--yes")...); code == 0 || !strings.Contains(stderr, "start the service") {
		t.Errorf("erase of a live chat without a service: exit %d\n%s", code, stderr)
	}
	r.start()
	if _, stderr, code := r.command(nil, r.person("erase")...); code == 0 || !strings.Contains(stderr, "--yes") {
		t.Errorf("erase without --yes: exit %d\n%s", code, stderr)
	}
	if _, stderr, code := r.command(nil, "export", "--tenant", "x", "mia.khan@example.com"); code == 0 || !strings.Contains(stderr, "not an address") {
		t.Errorf("export of an address: exit %d\n%s", code, stderr)
	}
	if out := r.does(r.person("erase", "--yes")...); !strings.Contains(out, "erased: 1 ") {
		t.Errorf("erase: %s", out)
	}
	if got, err := r.snow.Chat(c.ID); err != nil || got.State != snowtest.StateEnded {
		t.Errorf("the agent's chat is %s after the employee was erased, %v", got.State, err)
	}
	r.sees("An administrator deleted the data of this chat, so it has ended.")
	if out := r.does(r.person("export")...); !strings.Contains(out, `"conversations": []`) {
		t.Errorf("export after erase: %s", out)
	}
	for session, want := range map[string]int{c.SessionID: http.StatusOK, "nobody": http.StatusBadRequest} {
		late := fmt.Sprintf(`{"clientSessionId":%q,"clientVariables":{"conversationId":%q,"tenantId":%q,"botId":%q},"body":[{"uiType":"OutputText","value":"too late","messageId":"late"}]}`,
			session, r.chat.ID(), r.teams.TenantID(), r.teams.AppID())
		if got := r.post("/api/v1/snowBot/receiveMessage", "Bearer "+rigSecret, late); got != want {
			t.Errorf("a late post of session %s is answered %d, want %d", session, got, want)
		}
	}
	if strings.Contains(r.logs.String(), r.mia.AADObjectID) {
		t.Error("the log names the person")
	}
}

func TestALiveChatCanBeBrokenOffToErase(t *testing.T) {
	t.Parallel()
	r := newAdminRig(t)
	r.connect()
	r.kill()
	if out := r.does(r.person("erase", "--yes", "--now")...); !strings.Contains(out, "erased: 1 ") {
		t.Errorf("erase: %s", out)
	}
}

func TestRekey(t *testing.T) {
	t.Parallel()
	const fresh = "EBESExQVFhcYGRobHB0eHyABAgMEBQYHCAkKCwwNDg8="
	r := newAdminRig(t)
	c := r.connect()
	r.kill()
	both := "DATA_ENCRYPTION_KEY=" + fresh + "," + complete()["DATA_ENCRYPTION_KEY"]
	if _, stderr, code := r.command([]string{"DATA_ENCRYPTION_KEY=" + fresh}, "sessions"); code == 0 {
		t.Errorf("the fresh key alone opens the database: %s", stderr)
	}
	r.env = append(r.env, both)
	r.start()
	if out := r.does("rekey"); !strings.Contains(out, "can be dropped") {
		t.Errorf("rekey: %s", out)
	}
	r.kill()
	r.env = append(r.env, "DATA_ENCRYPTION_KEY="+fresh)
	r.start()
	r.says("after the rekey")
	r.hears(c, "after the rekey")
}

// TestServiceMovesHouse copies a session in the middle from a file to PostgreSQL, and back to another file.
func TestServiceMovesHouse(t *testing.T) {
	t.Parallel()
	r := newAdminRig(t)
	c := r.connect()
	if err := r.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	r.says("on the file")
	r.stop()
	at := ""
	for _, v := range r.env {
		if u, ok := strings.CutPrefix(v, "DATABASE_URL="); ok {
			at = u
		}
	}
	words := []string{"on the file"}
	for i, to := range []string{newSchema(t), "bbolt:" + filepath.Join(t.TempDir(), "new.db")} {
		stdout, stderr, code := r.command(nil, "store", "copy", at, to)
		if code != 0 || !strings.Contains(stdout, "copied and compared: ") {
			t.Fatalf("store copy: exit %d\n%s%s", code, stdout, stderr)
		}
		if _, stderr, code := r.command(nil, "store", "copy", at, to); code == 0 || !strings.Contains(stderr, "not empty") {
			t.Errorf("store copy again: exit %d\n%s", code, stderr)
		}
		at = to
		r.env = append(r.env, "DATABASE_URL="+at)
		if i > 0 {
			if err := r.snow.SetDown(snowtest.DownOff); err != nil {
				t.Fatal(err)
			}
		}
		r.start()
		if i == 0 {
			r.says("on the server")
			words = append(words, "on the server")
			r.stop()
		}
	}
	for _, text := range words {
		r.hears(c, text)
	}
	chat, err := r.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	said := chat.Said(snowtest.FromUser)
	if got := said[len(said)-2:]; got[0] != words[0] || got[1] != words[1] {
		t.Errorf("the agent sees %q, want %q", got, words)
	}
}
