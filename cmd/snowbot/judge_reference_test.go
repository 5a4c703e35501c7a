package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// startReference starts a bot of Microsoft's own framework on an emulated channel, and returns where it listens.
func startReference(t *testing.T, teams *adaptertest.Channel) string {
	t.Helper()
	cmd := exec.Command(nodeProgram(t), filepath.Join(judges(t), "reference.mjs")) //nolint:noctx // our own; ended below
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "APP_ID=" + teams.AppID(), "APP_PASSWORD=" + teams.AppPassword(), "TENANT_ID=" + teams.TenantID(),
		"METADATA_URL=" + teams.MetadataURL(), "TOKEN_URL=" + teams.TokenURL(), "LOGIN_URL=" + teams.URL(),
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var up struct{ Port int }
	lines := bufio.NewScanner(out)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &up) != nil {
		t.Fatalf("the reference bot does not start: %q\n%s", lines.Text(), complaints.String())
	}
	return fmt.Sprintf("http://127.0.0.1:%d/api/messages", up.Port)
}

// A lesson is an emulated chat with the reference bot.
type lesson struct {
	t     *testing.T
	teams *adaptertest.Channel
}

func newLesson(t *testing.T) *lesson {
	t.Helper()
	judges(t)
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	return &lesson{t: t, teams: teams}
}

// took fails the test when the bot has not taken an activity.
func (l *lesson) took(p adaptertest.Posted, err error) adaptertest.Posted {
	l.t.Helper()
	if err != nil || !p.OK() {
		l.t.Fatalf("the bot answers %d %s, %v", p.Status, p.Body, err)
	}
	return p
}

// shows waits until the bot has said something, and returns the message.
func (l *lesson) shows(v *adaptertest.Conversation, words string) adaptertest.Message {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	m, err := l.teams.WaitText(ctx, v, words)
	if err != nil {
		l.t.Fatalf("never shown %q, but %q", words, shownIn(v))
	}
	return m
}

func shownIn(v *adaptertest.Conversation) []string {
	var all []string
	for _, m := range v.Messages() {
		all = append(all, m.Text)
	}
	return all
}

// TestJudgeEmulatedPeople has a bot of Microsoft's framework understand all that our emulated people do, and our emulated
// Connector all that such a bot does: what drives our service in every other test is judged here.
func TestJudgeEmulatedPeople(t *testing.T) {
	t.Parallel()
	l := newLesson(t)
	l.teams.SetBot(startReference(t, l.teams))
	mia := l.teams.AddUser(adaptertest.User{Name: "Mia Khan", Email: "mia@example.com"})
	jonas := l.teams.AddUser(adaptertest.User{Name: "Jonas Weber", Email: "jonas@example.com"})
	var posted []any
	l.teams.Subscribe(func(x adaptertest.Exchange) {
		if x.Direction == adaptertest.Out {
			posted = append(posted, subject{Name: x.String(), Posted: json.RawMessage(x.RequestBody)})
		}
	})
	l.words(mia)
	l.cards(mia)
	l.lookUps(mia)
	l.group(mia, jonas)
	l.teams.Close() // nothing more is posted
	for _, v := range node[verdict](t, "judge.mjs", nil, posted...) {
		for _, f := range v.Faults {
			t.Errorf("%s: %s", v.Name, f)
		}
	}
	if len(posted) < 15 {
		t.Errorf("only %d activities were posted", len(posted))
	}
}

func (l *lesson) words(mia adaptertest.User) {
	ctx, v := l.t.Context(), l.teams.Personal(mia)
	if err := v.Install(ctx); err != nil {
		l.t.Fatal(err)
	}
	l.shows(v, "installed")
	l.shows(v, "added somebody and the bot")
	p := l.took(v.Say(ctx, mia, "good *day* & <b>"))
	l.shows(v, "you said: good *day* & <b>")
	l.took(v.Edit(ctx, mia, p.ActivityID, "good night"))
	l.shows(v, "edited: good night")
	l.took(v.React(ctx, mia, p.ActivityID, "like"))
	l.shows(v, "reaction like to "+p.ActivityID)
	l.took(v.DeleteMessage(ctx, mia, p.ActivityID))
	l.shows(v, "deleted "+p.ActivityID)
	if l.took(v.Say(ctx, mia, "type")); v.TypingUntil().IsZero() {
		l.t.Error("the bot is not seen typing")
	}
}

func (l *lesson) cards(mia adaptertest.User) {
	ctx, v := l.t.Context(), l.teams.Personal(mia)
	l.took(v.Say(ctx, mia, "card"))
	l.took(v.Submit(ctx, mia, l.shows(v, "Press it").ID, map[string]any{"answer": "pressed"}))
	l.shows(v, `chose {"answer":"pressed"}`)
	l.took(v.Say(ctx, mia, "update"))
	l.shows(v, "second")
	l.took(v.Say(ctx, mia, "delete"))
	l.took(v.Say(ctx, mia, "later"))
	l.shows(v, "of its own accord")
	if s := strings.Join(shownIn(v), "\n"); strings.Contains(s, "first") || strings.Contains(s, "never seen") {
		l.t.Errorf("still shown is what was changed or deleted: %s", s)
	}
}

func (l *lesson) lookUps(mia adaptertest.User) {
	ctx, v := l.t.Context(), l.teams.Personal(mia)
	l.took(v.Say(ctx, mia, "who"))
	l.shows(v, "Mia Khan <mia@example.com> of "+l.teams.TenantID()+", one of 1")
}

func (l *lesson) group(mia, jonas adaptertest.User) {
	ctx, v := l.t.Context(), l.teams.Group(mia, jonas)
	if err := v.Install(ctx); err != nil {
		l.t.Fatal(err)
	}
	l.shows(v, "installed")
	l.took(v.Say(ctx, jonas, "hello, all")) // with a mention, which the framework takes out
	l.shows(v, "you said: hello, all")
	l.took(v.Say(ctx, jonas, "who"))
	l.shows(v, "Jonas Weber <jonas@example.com> of "+l.teams.TenantID()+", one of 2")
	if err := v.Leave(ctx, jonas); err != nil {
		l.t.Fatal(err)
	}
	l.shows(v, "removed 1")
}

// TestJudgeAnswers compares how the service and a bot of Microsoft's framework answer the same requests. Wherever they
// differ the row says why.
func TestJudgeAnswers(t *testing.T) {
	t.Parallel()
	theirs, ours := newLesson(t), newLesson(t)
	theirs.teams.SetBot(startReference(t, theirs.teams))
	inst, err := snowtest.New(snowtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inst.Close)
	b := newBinary(t, ours.teams, inst, nil)
	at, err := b.Start(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.logs.String())
	}
	t.Cleanup(func() { _ = b.Kill() })
	ours.teams.SetBot(at.Bot)

	type fields = map[string]any
	signed := func(c *adaptertest.Channel) string { return "Bearer " + c.Token(c.ServiceURL()) }
	for _, tt := range []struct {
		name  string
		post  fields // an activity of an employee
		raw   string // or a body
		token func(*adaptertest.Channel) string
		want  [2]int // the reference, we
		why   string
	}{
		{name: "message", post: fields{"type": "message", "text": "hello"}, want: [2]int{200, 200}},
		{name: "typing", post: fields{"type": "typing", "text": nil}, want: [2]int{200, 200}},
		{name: "event that nobody knows", post: fields{"type": "event", "name": "x/y"}, want: [2]int{200, 200}},
		{name: "type that nobody knows", post: fields{"type": "x/y"}, want: [2]int{200, 200}},
		{name: "handoff", post: fields{"type": "handoff"}, want: [2]int{200, 200}},
		{name: "end of conversation", post: fields{"type": "endOfConversation"}, want: [2]int{200, 200}},
		{name: "invoke that nobody knows", post: fields{"type": "invoke", "name": "x/y"}, want: [2]int{501, 501}},
		{name: "invoke without a name", post: fields{"type": "invoke"}, want: [2]int{501, 501}},
		{name: "consent for a file that nobody offered", post: fields{"type": "invoke", "name": "fileConsent/invoke", "value": fields{"action": "accept"}}, want: [2]int{501, 501}},
		{name: "no type", post: fields{"type": nil}, want: [2]int{400, 400}},
		{name: "not JSON", raw: `{"type":`, token: signed, want: [2]int{400, 400}},
		{name: "an array", raw: `[]`, token: signed, want: [2]int{400, 400}},
		{name: "no token", raw: `{"type":"message"}`, token: func(*adaptertest.Channel) string { return "" }, want: [2]int{401, 401}},
		{name: "no token that can be read", raw: `{"type":"message"}`, token: func(*adaptertest.Channel) string { return "Bearer x.y.z" }, want: [2]int{401, 401}},
		{
			name: "a token of somebody else's making", raw: `{"type":"message"}`, want: [2]int{500, 401}, why: "who has no valid token gets 401",
			token: func(c *adaptertest.Channel) string {
				return "Bearer " + c.Sign(c.Claims(c.ServiceURL()), func(s *adaptertest.Signing) { s.Foreign = true })
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got [2]int
			for i, c := range []*adaptertest.Channel{theirs.teams, ours.teams} {
				if tt.post == nil {
					if got[i], _, err = c.PostRaw(t.Context(), []byte(tt.raw), tt.token(c)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				u := c.AddUser(adaptertest.User{Name: "Mia Khan"})
				p, err := c.Personal(u).Post(t.Context(), u, tt.post)
				if err != nil {
					t.Fatal(err)
				}
				got[i] = p.Status
			}
			if got != tt.want {
				t.Errorf("answered %v by the reference and us, want %v", got, tt.want)
			}
			if (tt.want[0] != tt.want[1]) != (tt.why != "") {
				t.Error("a difference and its explanation belong together")
			}
		})
	}
}

// TestJudgePlaygroundHarness has the Playground, behind our gateway, chat with the reference bot: what it shows of our
// service is the service's doing.
func TestJudgePlaygroundHarness(t *testing.T) {
	t.Parallel()
	l := newLesson(t)
	p := newPlayground(t, l.teams)
	at := startReference(t, l.teams)
	p.bot.Store(&at)
	p.installs(playPersonal)
	p.sees(playPersonal, 0, "installed")
	p.says("hello *there*")
	p.sees(playPersonal, 0, "you said: hello *there*")
	p.says("card")
	p.presses(p.sees(playPersonal, 0, "Press it"), "Press")
	p.sees(playPersonal, 0, `chose {"answer":"pressed"}`)
	p.says("update")
	p.sees(playPersonal, 0, "second")
	p.installs(playGroup)
	p.mentions(false, "not for the bot")
	p.mentions(true, "hello, all")
	p.sees(playGroup, 0, "you said: hello, all")
	if n := p.refused.Load(); n != 0 {
		t.Errorf("%d activities of the Playground were refused", n)
	}
}
