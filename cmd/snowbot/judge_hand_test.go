package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"
)

// A hand is how Alex uses the Playground: through its API, or on its page.
type hand interface {
	installs(in string)                  // the bot, in a conversation
	says(text string)                    // in the personal chat
	mentions(bot bool, text string)      // writes in the group chat, to the bot or to everybody
	presses(m playMessage, title string) // a button of a card
	looks(m playMessage, words string)   // until the words of a message are on the page
	looksForTyping()                     // until the page shows that somebody types
	shoots(name string)                  // keeps a picture of the page
}

// An apiHand uses the Playground's API. There is no page to look at.
type apiHand struct{ *playground }

func (apiHand) looks(playMessage, string) {}
func (apiHand) looksForTyping()           {}
func (apiHand) shoots(string)             {}

func (p apiHand) post(path string, body any) {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(raw))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: the Playground answers %d %s", path, res.StatusCode, answer)
	}
}

func (p apiHand) says(text string) {
	p.t.Helper()
	p.post("/_conversation/v1/conversations/"+url.PathEscape(playPersonal)+"/messages",
		map[string]any{"from": map[string]any{"id": playUser}, "text": text, "textFormat": "plain"})
}

func (p apiHand) mentions(bot bool, text string) {
	p.t.Helper()
	body := map[string]any{"from": map[string]any{"id": playUser}, "text": text, "textFormat": "plain"}
	if bot {
		body["text"] = "<at>Help desk</at> " + text
		body["mentions"] = []any{map[string]any{"mentioned": map[string]any{"id": p.teams.BotID()}, "text": "<at>Help desk</at>"}}
	}
	p.post("/_conversation/v1/conversations/"+url.PathEscape(playGroup)+"/messages", body)
}

func (p apiHand) installs(in string) {
	p.t.Helper()
	p.post("/_debug/conversation/"+url.PathEscape(in)+"/installation", map[string]any{})
}

func (p apiHand) presses(m playMessage, title string) {
	p.t.Helper()
	for _, a := range m.Attachments {
		var card struct {
			Actions []struct {
				Title string
				Data  map[string]any
			}
		}
		if json.Unmarshal(a.Content, &card) != nil {
			continue
		}
		for _, b := range card.Actions {
			if b.Title == title {
				p.post("/_conversation/v1/submit", map[string]any{
					"conversation": map[string]any{"id": m.in}, "from": map[string]any{"id": playUser}, "replyToId": m.MessageID, "value": b.Data,
				})
				return
			}
		}
	}
	p.t.Fatalf("no button %q in %s", title, m.Attachments)
}
