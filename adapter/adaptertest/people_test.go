package adaptertest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"

	"github.com/google/go-cmp/cmp"
)

func TestSayPostsWhatTeamsPosts(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := newChannel(t, adaptertest.Options{Now: now.now, BotName: "Desk"})
	b := newBot(t, c)
	u := c.AddUser(adaptertest.User{Name: "Ana Lima", Locale: "pt-BR"})
	v := c.Personal(u)
	p, err := v.Say(t.Context(), u, "one <b>\ntwo")
	if err != nil || !p.OK() {
		t.Fatal(p, err)
	}
	want := map[string]any{
		"type": "message", "id": fmt.Sprint(now.now().UnixMilli()), "text": "one <b>\ntwo", "textFormat": "plain", "locale": "pt-BR",
		"timestamp": "2026-03-02T09:00:00.0000000Z", "localTimestamp": "2026-03-02T11:00:00.0000000+02:00", "localTimezone": "Europe/Berlin",
		"serviceUrl": c.ServiceURL(), "channelId": "msteams",
		"from":         map[string]any{"id": u.ID, "name": "Ana Lima", "aadObjectId": u.AADObjectID},
		"recipient":    map[string]any{"id": "28:" + c.AppID(), "name": "Desk"},
		"conversation": map[string]any{"id": v.ID(), "tenantId": c.TenantID(), "conversationType": "personal"},
		"channelData":  map[string]any{"tenant": map[string]any{"id": c.TenantID()}},
		"attachments":  []any{map[string]any{"contentType": "text/html", "content": "<p>one &lt;b&gt;</p>\n<p>two</p>"}},
		"entities": []any{map[string]any{
			"type": "clientInfo", "locale": "pt-BR", "country": "US", "platform": "Web", "timezone": "Europe/Berlin",
		}},
	}
	if diff := cmp.Diff(want, b.activities()[0]); diff != "" {
		t.Error(diff)
	}
	if b.auth[0] != "Bearer "+c.Token(c.ServiceURL()) {
		t.Error("the post is not signed by the channel's token")
	}
	if !strings.HasSuffix(c.ServiceURL(), "/emea/") || !strings.HasPrefix(u.ID, "29:") || !strings.HasPrefix(v.ID(), "a:1") {
		t.Errorf("ids do not look like those of Teams: %s %s %s", c.ServiceURL(), u.ID, v.ID())
	}
	second, err := v.Say(t.Context(), u, "again")
	if err != nil || second.ActivityID == p.ActivityID || !regexp.MustCompile(`^\d{13}$`).MatchString(second.ActivityID) {
		t.Errorf("second id %q after %q, %v", second.ActivityID, p.ActivityID, err)
	}
	c.SetRegion("amer")
	if _, err := v.Say(t.Context(), u, "moved"); err != nil {
		t.Fatal(err)
	}
	if got := b.activities()[2]["serviceUrl"]; got != c.URL()+"/amer/" {
		t.Errorf("service URL after the move: %v", got)
	}
	if got := newCaller(t, c).say(v, "found"); got.status != 201 {
		t.Errorf("send after the move: %d", got.status)
	}
	if diff := cmp.Diff([]string{"one <b>\ntwo", "again", "moved", "found"}, shown(v)); diff != "" {
		t.Error(diff)
	}
}

func TestGroupsAndThreadsMentionTheBot(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{BotName: "R&D", LoseLineBreaks: true})
	b := newBot(t, c)
	u := c.AddUser(adaptertest.User{})
	for i, v := range []*adaptertest.Conversation{c.Group(u), c.ChannelThread(u)} {
		if _, err := v.Say(t.Context(), u, "a\nb"); err != nil {
			t.Fatal(err)
		}
		a := b.activities()[i]
		mention := map[string]any{"type": "mention", "text": "<at>R&amp;D</at>", "mentioned": map[string]any{"id": c.BotID(), "name": "R&D"}}
		if a["text"] != "<at>R&amp;D</at> a b" || !cmp.Equal(a["entities"].([]any)[1], any(mention)) {
			t.Errorf("%s: %v", v.Kind(), a)
		}
		conversation := a["conversation"].(map[string]any)
		if conversation["isGroup"] != true || conversation["conversationType"] != v.Kind() {
			t.Errorf("%s: conversation %v", v.Kind(), conversation)
		}
		if html := a["attachments"].([]any)[0].(map[string]any)["content"].(string); !strings.Contains(html, "a</p>\n<p>b") {
			t.Errorf("the line break is lost in the HTML too: %s", html)
		}
		_, threaded := a["channelData"].(map[string]any)["channel"]
		if threaded != (v.Kind() == adaptertest.Thread) || strings.Contains(v.ID(), ";messageid=") != threaded {
			t.Errorf("%s: %s %v", v.Kind(), v.ID(), a["channelData"])
		}
	}
}

func TestWhatPeopleDo(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	b := newBot(t, c)
	b.answer = func(w http.ResponseWriter, a map[string]any) {
		if a["type"] == "invoke" {
			_, _ = w.Write([]byte(`{"statusCode":200}`))
		}
	}
	u, other := c.AddUser(adaptertest.User{}), c.AddUser(adaptertest.User{})
	v := c.Personal(u)
	said, err := v.Say(t.Context(), u, "helo")
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		do   func() (adaptertest.Posted, error)
		want map[string]any
		not  []string
	}{
		{
			"edit", func() (adaptertest.Posted, error) { return v.Edit(t.Context(), u, said.ActivityID, "hello") },
			map[string]any{"type": "messageUpdate", "id": said.ActivityID, "text": "hello"},
			nil,
		},
		{
			"react", func() (adaptertest.Posted, error) { return v.React(t.Context(), u, "17", "like") },
			map[string]any{"type": "messageReaction", "replyToId": "17", "reactionsAdded": []any{map[string]any{"type": "like"}}},
			[]string{"text"},
		},
		{"submit", func() (adaptertest.Posted, error) {
			return v.Submit(t.Context(), u, "17", map[string]any{"a": "cancel"})
		}, map[string]any{"type": "message", "replyToId": "17", "value": map[string]any{"a": "cancel"}}, []string{"text", "attachments"}},
		{"invoke", func() (adaptertest.Posted, error) {
			return v.Invoke(t.Context(), u, "adaptiveCard/action", map[string]any{})
		}, map[string]any{"type": "invoke", "name": "adaptiveCard/action", "value": map[string]any{}}, []string{"text"}},
		{"typing", func() (adaptertest.Posted, error) { return v.Typing(t.Context(), u) }, map[string]any{"type": "typing"}, []string{"text"}},
		{"a file", func() (adaptertest.Posted, error) {
			return v.SayWith(t.Context(), u, "look", map[string]any{"attachments": []any{map[string]any{"contentType": "image/png"}}, "locale": nil})
		}, map[string]any{"attachments": []any{
			map[string]any{"contentType": "text/html", "content": "<p>look</p>"},
			map[string]any{"contentType": "image/png"},
		}}, []string{"locale"}},
		{
			"delete", func() (adaptertest.Posted, error) { return v.DeleteMessage(t.Context(), u, said.ActivityID) },
			map[string]any{"type": "messageDelete", "id": said.ActivityID},
			[]string{"text"},
		},
	}
	for i, s := range steps {
		p, err := s.do()
		if err != nil || !p.OK() {
			t.Fatalf("%s: %+v, %v", s.name, p, err)
		}
		a := b.activities()[i+1]
		for name, want := range s.want {
			if diff := cmp.Diff(want, a[name]); diff != "" {
				t.Errorf("%s: %s: %s", s.name, name, diff)
			}
		}
		for _, name := range s.not {
			if _, ok := a[name]; ok {
				t.Errorf("%s has %s", s.name, name)
			}
		}
		if s.name == "edit" && !cmp.Equal(shown(v), []string{"hello"}) {
			t.Errorf("chat after the edit: %v", shown(v))
		}
		if s.name == "invoke" && string(p.Body) != `{"statusCode":200}` {
			t.Errorf("invoke response %s", p.Body)
		}
	}
	if diff := cmp.Diff([]string{"look"}, shown(v)); diff != "" {
		t.Error(diff)
	}
	if _, err := v.Edit(t.Context(), other, v.Messages()[0].ID, "x"); err == nil {
		t.Error("somebody could edit another's message")
	}
	if _, err := v.DeleteMessage(t.Context(), u, said.ActivityID); err == nil {
		t.Error("a message could be deleted twice")
	}
	again, err := v.Repeat(t.Context(), said)
	if err != nil || !again.OK() || again.ActivityID != said.ActivityID {
		t.Fatalf("repeat: %+v, %v", again, err)
	}
	all := b.activities()
	if diff := cmp.Diff(all[0], all[len(all)-1]); diff != "" {
		t.Errorf("a repeat differs from the first time: %s", diff)
	}
}

func TestInstallTellsInEitherOrder(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	b := newBot(t, c)
	u, late := c.AddUser(adaptertest.User{}), c.AddUser(adaptertest.User{})
	v, group := c.Personal(u), c.Group(u)
	for _, err := range []error{
		v.Install(t.Context()), group.Install(t.Context()), v.Uninstall(t.Context()), group.Join(t.Context(), late), group.Leave(t.Context(), late),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, a := range b.activities() {
		s := fmt.Sprint(a["type"])
		for _, name := range []string{"action", "membersAdded", "membersRemoved"} {
			if f, ok := a[name]; ok {
				j, _ := json.Marshal(f)
				s += " " + string(j)
			}
		}
		got = append(got, strings.NewReplacer(c.BotID(), "BOT", u.ID, "ANA", late.ID, "BEN", u.AADObjectID, "aad", late.AADObjectID, "aad").Replace(s))
	}
	want := []string{
		`installationUpdate "add"`,
		`conversationUpdate [{"aadObjectId":"aad","id":"ANA"},{"id":"BOT","name":"Help desk"}]`,
		`conversationUpdate [{"id":"BOT","name":"Help desk"}]`,
		`installationUpdate "add"`,
		`installationUpdate "remove"`,
		`conversationUpdate [{"aadObjectId":"aad","id":"BEN"}]`,
		`conversationUpdate [{"aadObjectId":"aad","id":"BEN"}]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(group.Members()) != 1 {
		t.Errorf("members %v", group.Members())
	}
	for name, err := range map[string]error{
		"join twice": group.Join(t.Context(), u), "leave twice": group.Leave(t.Context(), late), "leave a personal chat": v.Leave(t.Context(), u),
	} {
		if err == nil {
			t.Errorf("%s was possible", name)
		}
	}
	b.answer = func(w http.ResponseWriter, _ map[string]any) { w.WriteHeader(http.StatusInternalServerError) }
	if err := v.Install(t.Context()); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("an installation that the bot refused: %v", err)
	}
}

func TestAnswersAndFailuresOfTheBotComeBack(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	u := c.AddUser(adaptertest.User{})
	v := c.Personal(u)
	if _, err := v.Say(t.Context(), u, "anybody?"); !errors.Is(err, adaptertest.ErrLost) {
		t.Errorf("without a bot: %v", err)
	}
	b := newBot(t, c)
	b.answer = func(w http.ResponseWriter, _ map[string]any) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("no"))
	}
	p, err := v.Say(t.Context(), u, "hi")
	if err != nil || p.Status != 403 || string(p.Body) != "no" || p.OK() {
		t.Errorf("got %+v, %v", p, err)
	}
	status, body, err := c.PostRaw(t.Context(), []byte("junk"), "Bearer junk")
	if err != nil || status != 403 || string(body) != "no" || b.auth[1] != "Bearer junk" {
		t.Errorf("raw: %d %s %v %q", status, body, err, b.auth)
	}
	if _, _, err := c.PostRaw(t.Context(), nil, ""); err != nil || b.auth[2] != "" {
		t.Errorf("raw without authorization: %v %q", err, b.auth)
	}
}

func TestKeepLastBoundsTheChat(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{KeepLast: 3, LogSize: 4})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	first := k.say(v, "0").id()
	var last string
	for i := range 10 {
		last = k.say(v, fmt.Sprint(i+1)).id()
	}
	if diff := cmp.Diff([]string{"8", "9", "10"}, shown(v)); diff != "" {
		t.Error(diff)
	}
	if got := k.do(http.MethodPut, activities(v, first), `{"type":"message","text":"x"}`); got.status != 404 {
		t.Errorf("update of a forgotten message: %d", got.status)
	}
	for range 10 {
		if got := k.do(http.MethodPut, activities(v, last), `{"type":"message","text":"x"}`); got.status != 200 {
			t.Errorf("update of a kept message: %d", got.status)
		}
	}
	if m := v.Messages(); len(m[2].History) != 3 {
		t.Errorf("%d versions kept", len(m[2].History))
	}
	log := c.Log()
	if len(log) != 4 || log[0].Seq != 19 || log[3].Seq != 22 {
		t.Errorf("log: %v", log)
	}
}

func TestIDsFollowTheSeed(t *testing.T) {
	t.Parallel()
	ids := func(seed uint64) string {
		c := newChannel(t, adaptertest.Options{Seed: seed})
		u := c.AddUser(adaptertest.User{})
		return u.ID + u.AADObjectID + c.Personal(u).ID()
	}
	one, same, other := ids(1), ids(1), ids(2)
	if one != same || one == other {
		t.Error("ids do not follow the seed")
	}
}

func TestOptionsThatContradictAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]adaptertest.Options{
		"prefixed app id":    {AppID: "28:x"},
		"negative":           {KeepLast: -1},
		"rate, no windows":   {TenantRate: 5},
		"relative bot URL":   {BotURL: "/api/messages"},
		"region with a path": {Region: "a/b"},
		"busy address":       {Addr: "256.0.0.1:0"},
		"negative life":      {TokenLife: -time.Second},
	} {
		if c, err := adaptertest.New(o); err == nil {
			_ = c.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
