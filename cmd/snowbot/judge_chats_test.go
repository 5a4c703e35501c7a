package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/snow/snowtest"
)

// A table is where employees of all languages chat with the real binary.
type table struct {
	teams *adaptertest.Channel
	snow  *snowtest.Instance
}

func newTable(t *testing.T, name string, sent *sentSubjects, env map[string]string) *table {
	t.Helper()
	var k table
	var err error
	if k.teams, err = adaptertest.New(adaptertest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.teams.Close() })
	if k.snow, err = snowtest.New(snowtest.Options{AgentNames: true, WaitTime: "2 Minutes"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.snow.Close)
	sent.of(t, name, k.teams)
	b := newBinary(t, k.teams, k.snow, env)
	at, err := b.Start(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.logs.String())
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the service:\n%s", b.logs.String())
		}
	})
	k.teams.SetBot(at.Bot)
	k.snow.SetWebhook(at.Webhook, at.WebhookSecret)
	return &k
}

// A seat is one employee at a table, in the chat with the bot.
type seat struct {
	*table
	t    *testing.T
	user adaptertest.User
	chat *adaptertest.Conversation
	text *bot.Texts
}

func (k *table) seat(t *testing.T, language string) *seat {
	t.Helper()
	u := k.teams.AddUser(adaptertest.User{Name: "Mia " + language, Email: "mia." + language + "@example.com", Locale: language})
	return &seat{table: k, t: t, user: u, chat: k.teams.Personal(u), text: bot.TextsFor(language)}
}

// move is the same seat in a later test.
func (s *seat) move(t *testing.T) *seat {
	to := *s
	to.t = t
	return &to
}

func (s *seat) within() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), 15*time.Second)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *seat) says(text string) string {
	s.t.Helper()
	p, err := s.chat.Say(s.within(), s.user, text)
	if err != nil || p.Status != http.StatusOK {
		s.t.Fatalf("say: status %d, %v", p.Status, err)
	}
	return p.ActivityID
}

// sees waits until the chat shows what is said under a key, or the words themselves when there is no such key.
func (s *seat) sees(key bot.TextKey, values ...string) {
	s.t.Helper()
	words := s.text.Say(key, values...)
	if words == "" {
		words = string(key)
	}
	if _, err := s.teams.WaitText(s.within(), s.chat, words); err != nil {
		var shown []string
		for _, m := range s.chat.Messages() {
			if shown = append(shown, m.Text); m.Text == "" {
				shown = append(shown, string(m.Raw))
			}
		}
		s.t.Fatalf("Teams never showed %q: %v\nlast it shows %q", words, err, shown[max(0, len(shown)-6):])
	}
}

// presses has the employee press the newest button with the title.
func (s *seat) presses(title string) {
	s.t.Helper()
	var id string
	var data json.RawMessage
	err := s.teams.Wait(s.within(), func() bool {
		for _, m := range s.chat.Messages() {
			for _, a := range m.Attachments {
				var card struct {
					Actions []struct {
						Title string
						Data  json.RawMessage
					}
				}
				if json.Unmarshal(a.Content, &card) != nil {
					continue
				}
				for _, b := range card.Actions {
					if b.Title == title {
						id, data = m.ID, b.Data
					}
				}
			}
		}
		return id != ""
	})
	if err != nil {
		s.t.Fatalf("no button %q", title)
	}
	if p, err := s.chat.Submit(s.within(), s.user, id, data); err != nil || p.Status != http.StatusOK {
		s.t.Fatalf("press %q: status %d, %v", title, p.Status, err)
	}
}

// asks has the employee ask for a person, and returns the chat as it stands in the queue.
func (s *seat) asks() snowtest.Chat {
	s.t.Helper()
	s.says(s.text.Say(bot.TextButtonTalkToPerson)) // the words that the greeting suggests
	c, err := s.snow.WaitChat(s.within(), func(c snowtest.Chat) bool { return c.Email == s.user.Email && c.State == snowtest.StateQueued })
	if err != nil {
		s.t.Fatalf("nobody in the queue: %v", err)
	}
	s.sees(bot.TextCardWaitingTime, "2 Minutes")
	return c
}

func (s *seat) accepted() snowtest.Chat {
	s.t.Helper()
	c := s.asks()
	s.desk(s.snow.Accept(s.within(), c.ID, "Sam Ortiz"))
	s.sees(bot.TextCardConnectedUnnamed) // the first words of the agent tell the name
	return c
}

// desk fails the test when the desk could not do something.
func (s *seat) desk(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// chatInEveryLanguage has an employee of each language go through all that can happen.
func chatInEveryLanguage(t *testing.T, sent *sentSubjects) {
	k := newTable(t, "every language", sent, map[string]string{"TEAMS_PACING": "off"})
	var seats []*seat
	for _, language := range bot.TextLanguages() {
		seats = append(seats, k.seat(t, language))
	}
	// What is true of the whole desk changes between the rounds only.
	round := func(name string, act func(*seat)) {
		t.Run(name, func(t *testing.T) {
			for _, s := range seats {
				t.Run(s.text.Language(), func(t *testing.T) { t.Parallel(); act(s.move(t)) })
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	round("bot", (*seat).meetsTheBot)
	round("agent", (*seat).meetsAnAgent)
	round("ends", (*seat).endsByItself)
	if err := k.snow.SetNoAgents(snowtest.NoAgentsCompleted); err != nil {
		t.Fatal(err)
	}
	round("nobody", (*seat).findsNobody)
	if err := k.snow.SetNoAgents(snowtest.NoAgentsOff); err != nil {
		t.Fatal(err)
	}
	round("elsewhere", (*seat).asksInAGroup)
	if err := k.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	round("outage", func(s *seat) {
		s.says("7 x 7")
		s.sees(bot.TextNoticeOutage)
	})
	if err := k.snow.SetDown(snowtest.DownOff); err != nil {
		t.Fatal(err)
	}
	round("after it", func(s *seat) { s.sees(bot.TextNoticeOutageOver) })
}

func (s *seat) meetsTheBot() {
	s.desk(s.chat.Install(s.within()))
	s.says("hello")
	s.sees(bot.TextGreeting)
	s.says("xyzzy")
	s.sees(bot.TextNotUnderstood)
	s.says("help")
	s.sees(bot.TextHelp)
	s.says("end chat")
	s.sees(bot.TextNoticeNothingToEnd)
}

func (s *seat) meetsAnAgent() {
	c := s.asks()
	first := s.says("12345 *stars* <b>")
	s.sees(bot.TextNoticeStillConnecting)
	s.desk(s.snow.ReportWait(s.within(), c.ID, "5 Minutes"))
	s.sees(bot.TextCardWaitingTime, "5 Minutes")
	s.desk(s.snow.Accept(s.within(), c.ID, "Sam Ortiz"))
	s.sees(bot.TextCardConnectedUnnamed) // the first words of the agent tell the name
	s.desk(s.snow.Typing(s.within(), c.ID, true))
	_, err := s.snow.Say(s.within(), c.ID, "_under_ *stars* [x](y) <at>Mia</at> 😀\n# 1 & 2")
	s.desk(err)
	s.everyItem(c)
	for name, kind := range map[string]string{"a.pdf": "application/pdf", "a.png": "image/png"} {
		_, err := s.snow.SendFile(s.within(), c.ID, name, kind, []byte("x"))
		s.desk(err)
	}
	if _, err := s.chat.Edit(s.within(), s.user, first, "corrected"); err != nil {
		s.t.Fatal(err)
	}
	_, err = s.chat.SayWith(s.within(), s.user, "look", map[string]any{"attachments": []any{
		map[string]any{"contentType": "image/png", "contentUrl": "https://smba.trafficmanager.net/emea/v3/attachments/1/views/original"},
	}})
	s.desk(err)
	s.sees(bot.TextFileNotRelayed)
	s.presses(s.text.Say(bot.TextDateSend))
	s.desk(s.snow.Transfer(s.within(), c.ID, "Ada Byron"))
	s.desk(s.snow.End(s.within(), c.ID, "bye"))
	s.sees(bot.TextNoticeEndedByAgent)
	s.sees(bot.TextCardEndedByAgent)
	s.presses("Laptop") // of a chat that is over
	s.sees(bot.TextNoticeNotDeliveredOver)
}

// everyItem has the agent send one of each documented item, and one of what a card makes of few and of many options.
func (s *seat) everyItem(c snowtest.Chat) {
	s.t.Helper()
	files, err := filepath.Glob("../../snow/testdata/decode/[A-Z]*.json")
	if err != nil || len(files) < 15 {
		s.t.Fatalf("%d kinds of item, %v", len(files), err)
	}
	items := []map[string]any{
		{"uiType": "Picker", "label": "Which *one*?", "options": []any{map[string]any{"label": "Laptop", "value": "l"}, map[string]any{"label": "Phone"}}},
		{"uiType": "OutputImage", "value": "https://cdn.example.com/p.png", "altText": ""},
		{"uiType": "OutputHtml", "value": `<p>a <b>b</b> &lt;at&gt;Mia&lt;/at&gt;</p><script>x</script><table><tr><td>1</td></tr></table>`},
		{"uiType": "OutputTable", "label": "Days", "headers": []any{"A", "B"}, "data": []any{[]any{"1", ""}, []any{"", nil}}},
	}
	var many []any
	for i := range 30 {
		many = append(many, map[string]any{"label": "Option " + strconv.Itoa(i), "value": strconv.Itoa(i)})
	}
	items = append(items, map[string]any{"uiType": "Picker", "label": "Which?", "options": many})
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		var row struct {
			Real struct{ Body []map[string]any }
		}
		if err := json.Unmarshal(raw, &row); err != nil {
			s.t.Fatal(err)
		}
		items = append(items, row.Real.Body...)
	}
	for _, it := range items {
		delete(it, "messageId") // the desk gives each its own
		if it["uiType"] == "ActionMsg" {
			continue
		}
		if _, err := s.snow.SendItem(s.within(), c.ID, it); err != nil {
			s.t.Fatalf("%v: %v", it["uiType"], err)
		}
	}
	_, err = s.snow.Say(s.within(), c.ID, "that was all")
	s.desk(err)
	s.sees("that was all")
	s.sees(bot.TextCardConnected, "Sam Ortiz")
}

func (s *seat) endsByItself() {
	s.asks()
	s.presses(s.text.Say(bot.TextButtonCancel))
	s.sees(bot.TextNoticeCancelled)
	s.accepted()
	s.presses(s.text.Say(bot.TextButtonEnd))
	s.sees(bot.TextNoticeEndedByEmployee)
}

func (s *seat) findsNobody() {
	s.says(s.text.Say(bot.TextButtonTalkToPerson))
	s.sees(bot.TextNoticeNoAgents)
	s.presses(s.text.Say(bot.TextButtonTicket))
	if err := s.snow.Wait(s.within(), func() bool { return len(s.snow.Incidents()) > 0 }); err != nil {
		s.t.Fatal("no ticket")
	}
}

func (s *seat) asksInAGroup() {
	s.accepted()
	group := *s
	group.chat = s.teams.Group(s.user)
	s.desk(group.chat.Install(s.within()))
	group.says("hello")
	group.sees(bot.TextGreeting)
	group.says(s.text.Say(bot.TextButtonTalkToPerson))
	group.sees(bot.TextNoticeElsewhere)
}

// chatInAHurry has an agent write faster than Teams takes it, so that words go out together.
func chatInAHurry(t *testing.T, sent *sentSubjects) {
	s := newTable(t, "in a hurry", sent, nil).seat(t, "en")
	c := s.accepted()
	for i := range 30 {
		var err error
		switch n := strconv.Itoa(i); i % 3 {
		case 0:
			_, err = s.snow.Say(s.within(), c.ID, n+" *plain* <at>x</at>")
		case 1:
			_, err = s.snow.SayHTML(s.within(), c.ID, "<b>"+n+"</b><ul><li>a</li></ul>")
		default:
			_, err = s.snow.SendItem(s.within(), c.ID, map[string]any{"uiType": "OutputLink", "label": n, "value": map[string]any{"action": "https://example.com/" + n}})
		}
		s.desk(err)
	}
	s.desk(s.snow.End(s.within(), c.ID, "bye"))
	s.sees(bot.TextNoticeEndedByAgent)
}
