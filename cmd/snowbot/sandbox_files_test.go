package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

func TestSandboxPassesFilesBothWays(t *testing.T) {
	t.Parallel()
	p := openSandbox(t)
	say := func(name string, c map[string]any) {
		t.Helper()
		if status, answer := p.do(name, c); status != http.StatusOK {
			t.Fatalf("%s: status %d, %v", name, status, answer)
		}
	}
	say("employee/say", map[string]any{"employee": "mia", "text": "I want to talk to a person"})
	st := p.wait("a chat is queued", func(st sandboxState) bool { return len(st.Chats) > 0 && st.Chats[0].State == snowtest.StateQueued })
	chat := st.Chats[0].ID
	say("agent/accept", map[string]any{"chat": chat, "agent": "Sam Ortiz"})
	photo := map[string]any{"name": "router.png", "type": "image/png", "data": drawing(t)}
	say("employee/file", map[string]any{"employee": "mia", "file": photo})
	st = p.wait("the desk has the file", func(st sandboxState) bool {
		return slices.ContainsFunc(st.Chats[0].Lines, func(l snowtest.Line) bool { return l.File != nil && l.File.Name == "router.png" })
	})
	i := slices.IndexFunc(st.Chats[0].Lines, func(l snowtest.Line) bool { return l.File != nil })
	say("agent/file", map[string]any{"chat": chat, "file": photo})
	link := ""
	p.wait("Teams shows the file", func(st sandboxState) bool {
		for _, m := range st.Employees[0].Messages {
			for _, a := range m.Attachments {
				if m.FromBot && strings.HasPrefix(a.ContentURL, p.url+filesPath+"/") {
					link = a.ContentURL
				}
			}
		}
		return link != ""
	})
	for _, url := range []string{link, p.url + "/desk/" + chat + "/" + st.Chats[0].Lines[i].ID} {
		res, err := http.Get(url) //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/png" {
			t.Errorf("%s: status %d, %s", url, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
}
