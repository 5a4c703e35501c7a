package adaptertest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"

	"github.com/google/go-cmp/cmp"
)

func card(version string) string {
	return `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","version":"` +
		version + `","body":[{"type":"TextBlock","text":"in the card"}]}}]}`
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	u := c.AddUser(adaptertest.User{})
	v := c.Personal(u)
	k := newCaller(t, c)
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"text", `{"type":"message","text":"hi"}`, 201, ""},
		{"own names", `{"type":"message","text":"hi","from":{"id":"` + c.BotID() + `"},"recipient":{"id":"` + u.ID + `"},"conversation":{"id":"` + v.ID() + `"}}`, 201, ""},
		{"unknown field", `{"type":"message","text":"hi","importance":"high","channelData":{"x":1}}`, 201, ""},
		{"card", card("1.5"), 201, ""},
		{"picture", `{"type":"message","attachments":[{"contentType":"image/png","contentUrl":"data:image/png;base64,AA"}]}`, 201, ""},
		{"suggested actions", `{"type":"message","text":"?","suggestedActions":{"to":[],"actions":[{"type":"imBack","title":"Yes","value":"yes"}]}}`, 201, ""},
		{"nothing", ``, 400, "BadSyntax"},
		{"array", `[]`, 400, "BadSyntax"},
		{"null", `null`, 400, "BadSyntax"},
		{"half an object", `{"type":`, 400, "BadSyntax"},
		{"two objects", `{"type":"message","text":"hi"} {}`, 400, "BadSyntax"},
		{"not UTF-8", "{\"type\":\"message\",\"text\":\"\xff\"}", 400, "BadSyntax"},
		{"no type", `{"text":"hi"}`, 400, "BadSyntax"},
		{"unknown type", `{"type":"trace","text":"hi"}`, 400, "BadArgument"},
		{"nothing to show", `{"type":"message","text":" "}`, 400, "BadSyntax"},
		{"text is a number", `{"type":"message","text":5}`, 400, "BadSyntax"},
		{"from is a string", `{"type":"message","text":"hi","from":"bot"}`, 400, "BadSyntax"},
		{"from is somebody else", `{"type":"message","text":"hi","from":{"id":"28:other"}}`, 400, "BadArgument"},
		{"recipient is not there", `{"type":"message","text":"hi","recipient":{"id":"29:other"}}`, 400, "BadArgument"},
		{"other conversation", `{"type":"message","text":"hi","conversation":{"id":"a:1"}}`, 400, "BadArgument"},
		{"other channel", `{"type":"message","text":"hi","channelId":"directline"}`, 400, "BadArgument"},
		{"unknown textFormat", `{"type":"message","text":"hi","textFormat":"html"}`, 400, "BadArgument"},
		{"unknown layout", `{"type":"message","text":"hi","attachmentLayout":"heap"}`, 400, "BadArgument"},
		{"unknown inputHint", `{"type":"message","text":"hi","inputHint":"perhaps"}`, 400, "BadArgument"},
		{"entity without type", `{"type":"message","text":"hi","entities":[{}]}`, 400, "BadSyntax"},
		{"suggested actions without to", `{"type":"message","text":"?","suggestedActions":{"actions":[{"type":"imBack","title":"Yes"}]}}`, 400, "BadSyntax"},
		{"empty suggested actions", `{"type":"message","text":"?","suggestedActions":{}}`, 400, "BadSyntax"},
		{"suggested action without title", `{"type":"message","text":"?","suggestedActions":{"to":[],"actions":[{"type":"imBack"}]}}`, 400, "BadSyntax"},
		{"attachment without contentType", `{"type":"message","attachments":[{"content":{}}]}`, 400, "BadSyntax"},
		{"attachment without content", `{"type":"message","attachments":[{"contentType":"image/png"}]}`, 400, "BadSyntax"},
		{"card is a string", `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":"{}"}]}`, 400, "BadArgument"},
		{"hero card is an array", `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.hero","content":[]}]}`, 400, "BadArgument"},
		{"card without type", `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"version":"1.5"}}]}`, 400, "BadArgument"},
		{"card without version", `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard"}}]}`, 400, "BadArgument"},
		{"card too new", card("1.6"), 400, "BadArgument"},
		{"card far too new", card("2.0"), 400, "BadArgument"},
		{"card of no version", card("latest"), 400, "BadArgument"},
		{"100 KB of UTF-16", `{"type":"message","text":"` + strings.Repeat("a", 51_100) + `"}`, 201, ""},
		{"more than 100 KB of UTF-16", `{"type":"message","text":"` + strings.Repeat("a", 51_200) + `"}`, 413, "MessageSizeTooBig"},
		{"100 KB of three-byte characters", `{"type":"message","text":"` + strings.Repeat("語", 51_100) + `"}`, 201, ""},
		{"surrogate pairs count twice", `{"type":"message","text":"` + strings.Repeat("😀", 25_700) + `"}`, 413, "MessageSizeTooBig"},
		{"a big picture", `{"type":"message","attachments":[{"contentType":"image/png","contentUrl":"data:image/png;base64,` + strings.Repeat("A", 200_000) + `"}]}`, 201, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := len(v.Messages())
			got := k.send(v, tt.body)
			if got.status != tt.status || got.code() != tt.code {
				t.Errorf("got %d %q, want %d %q; body %s", got.status, got.code(), tt.status, tt.code, got.body)
			}
			if tt.status == 201 && (got.id() == "" || len(v.Messages()) <= before) {
				t.Errorf("a message taken does not show, or has no id: %s", got.body)
			}
		})
	}
	t.Run("content type", func(t *testing.T) {
		t.Parallel()
		k := newCaller(t, c)
		for kind, want := range map[string]int{"text/plain": 400, "": 400, "application/json; charset=utf-8": 201} {
			k.header.Set("Content-Type", kind)
			if got := k.say(v, "hi"); got.status != want {
				t.Errorf("content type %q: got %d, want %d", kind, got.status, want)
			}
		}
	})
}

func TestConnectorRoutes(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	k := newCaller(t, c)
	u := c.AddUser(adaptertest.User{Name: "Ana Lima"})

	t.Run("an update replaces in place and is kept as history", func(t *testing.T) {
		t.Parallel()
		v := c.Group(u)
		id := k.say(v, "one").id()
		k.say(v, "two")
		if got := k.do(http.MethodPut, activities(v, id), card("1.5")); got.status != 200 || got.id() != id {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		m := v.Messages()
		if len(m) != 2 || m[0].ID != id || m[0].Text != "" || !m[0].Shows("in the card") || len(m[0].History) != 1 || m[0].EditedAt.IsZero() {
			t.Errorf("chat after the update: %+v", m)
		}
	})
	t.Run("a deletion takes the message away", func(t *testing.T) {
		t.Parallel()
		v := c.Group(u)
		id := k.say(v, "one").id()
		k.say(v, "two")
		if got := k.do(http.MethodDelete, activities(v, id), ""); got.status != 200 {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		if diff := cmp.Diff([]string{"two"}, shown(v)); diff != "" {
			t.Error(diff)
		}
		for _, method := range []string{http.MethodDelete, http.MethodPut} {
			if got := k.do(method, activities(v, id), `{"type":"message","text":"x"}`); got.status != 404 || got.code() != "ActivityNotFoundInConversation" {
				t.Errorf("%s of a deleted message: %d %s", method, got.status, got.body)
			}
		}
	})
	t.Run("a reply goes where a message goes", func(t *testing.T) {
		t.Parallel()
		v := c.Group(u)
		if got := k.do(http.MethodPost, activities(v, "1700000000000"), `{"type":"message","text":"re","replyToId":"1700000000000"}`); got.status != 201 || got.id() == "" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("text with an attachment is split and has no id", func(t *testing.T) {
		t.Parallel()
		v := c.Group(u)
		got := k.send(v, strings.Replace(card("1.5"), `{"type":"message"`, `{"type":"message","text":"above"`, 1))
		if got.status != 202 || len(got.body) != 0 {
			t.Errorf("got %d %q", got.status, got.body)
		}
		m := v.Messages()
		if len(m) != 2 || m[0].Text != "above" || len(m[0].Attachments) != 0 || m[1].Text != "" || len(m[1].Attachments) != 1 {
			t.Errorf("chat: %+v", m)
		}
		if got := k.do(http.MethodPut, activities(v, m[0].ID), strings.Replace(card("1.5"), `{"type":"message"`, `{"type":"message","text":"above"`, 1)); got.status != 400 {
			t.Errorf("an update to both: got %d", got.status)
		}
	})
	t.Run("an unknown conversation or activity is told apart", func(t *testing.T) {
		t.Parallel()
		v := c.Group(u)
		if got := k.do(http.MethodPost, "v3/conversations/a:1nobody/activities", `{"type":"message","text":"x"}`); got.status != 404 || got.code() != "ConversationNotFound" {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if got := k.do(http.MethodPut, activities(v, "1"), `{"type":"message","text":"x"}`); got.status != 404 || got.code() != "ActivityNotFoundInConversation" {
			t.Errorf("got %d %s", got.status, got.body)
		}
		hostile := "v3/conversations/" + url.PathEscape("19:a/../../../v3/x?y#z") + "/activities"
		if got := k.do(http.MethodPost, hostile, `{"type":"message","text":"x"}`); got.status != 404 || got.code() != "ConversationNotFound" {
			t.Errorf("hostile id: got %d %s", got.status, got.body)
		}
	})
	t.Run("methods and routes that do not exist", func(t *testing.T) {
		t.Parallel()
		v := c.Group(u)
		for _, tt := range []struct {
			method, path string
			status       int
		}{
			{http.MethodGet, "v3/conversations", 405},
			{http.MethodGet, activities(v), 405},
			{http.MethodGet, activities(v, "1"), 405},
			{http.MethodPost, "v3/conversations/" + v.ID() + "/members", 405},
			{http.MethodGet, "v3/conversations/" + v.ID() + "/other", 404},
			{http.MethodGet, "v4/conversations", 404},
		} {
			if got := k.do(tt.method, tt.path, "{}"); got.status != tt.status {
				t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, got.status, tt.status)
			}
		}
	})
	t.Run("blocked, uninstalled, and back", func(t *testing.T) {
		t.Parallel()
		newBot(t, c)
		v := c.Group(u)
		v.Block()
		got := k.say(v, "x")
		var outer struct {
			ErrorCode int
			Message   string
		}
		var inner struct{ SubCode string }
		if json.Unmarshal(got.body, &outer) != nil || json.Unmarshal([]byte(outer.Message), &inner) != nil ||
			got.status != 403 || outer.ErrorCode != 209 || inner.SubCode != "MessageWritesBlocked" {
			t.Errorf("blocked: got %d %s", got.status, got.body)
		}
		if _, err := v.Say(t.Context(), u, "hello?"); err == nil {
			t.Error("somebody who has blocked the bot could write to it")
		}
		v.Unblock()
		if got := k.say(v, "x"); got.status != 201 {
			t.Errorf("unblocked: got %d %s", got.status, got.body)
		}
		if err := v.Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := k.say(v, "x"); got.status != 403 || got.code() != "BotNotInConversationRoster" {
			t.Errorf("uninstalled: got %d %s", got.status, got.body)
		}
		if err := v.Install(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := k.say(v, "x"); got.status != 201 {
			t.Errorf("installed again: got %d %s", got.status, got.body)
		}
	})
}

func TestTypingShowsForThreeSecondsOrUntilAMessage(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := newChannel(t, adaptertest.Options{Now: now.now})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	if got := k.send(v, `{"type":"typing"}`); got.status != 202 || len(got.body) != 0 {
		t.Errorf("got %d %q", got.status, got.body)
	}
	if got, want := v.TypingUntil(), now.now().Add(3*time.Second); !got.Equal(want) {
		t.Errorf("typing until %v, want %v", got, want)
	}
	if len(v.Messages()) != 0 {
		t.Error("typing shows as a message")
	}
	k.say(v, "there")
	if !v.TypingUntil().IsZero() {
		t.Error("still typing after the message")
	}
}

func TestCreateConversation(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	k := newCaller(t, c)
	ana, ben := c.AddUser(adaptertest.User{}), c.AddUser(adaptertest.User{})
	v, thread := c.Personal(ana), c.ChannelThread(ana, ben)
	base, _, _ := strings.Cut(thread.ID(), ";")
	params := func(member, tenant, more string) string {
		return `{"bot":{"id":"` + c.BotID() + `"},"isGroup":false,"members":[{"id":"` + member + `"}],"tenantId":"` + tenant + `"` + more + `}`
	}
	for _, tt := range []struct {
		name, body string
		status     int
		code, id   string
	}{
		{"by user id", params(ana.ID, c.TenantID(), ""), 201, "", v.ID()},
		{"by AAD object id", params(ana.AADObjectID, c.TenantID(), ""), 201, "", v.ID()},
		{"tenant in channelData", params(ana.ID, "", `,"channelData":{"tenant":{"id":"`+c.TenantID()+`"}}`), 201, "", v.ID()},
		{"with an activity", params(ana.ID, c.TenantID(), `,"activity":{"type":"message","text":"first"}`), 201, "", v.ID()},
		{"with a bad activity", params(ana.ID, c.TenantID(), `,"activity":{"text":"first"}`), 400, "BadSyntax", ""},
		{"by e-mail address", params(ana.UPN, c.TenantID(), ""), 400, "BadArgument", ""},
		{"somebody unknown", params("29:nobody", c.TenantID(), ""), 400, "BadArgument", ""},
		{"not installed for the person", params(ben.ID, c.TenantID(), ""), 403, "BotNotInConversationRoster", ""},
		{"other tenant", params(ana.ID, "elsewhere", ""), 400, "BadArgument", ""},
		{"a group", `{"isGroup":true,"members":[{"id":"` + ana.ID + `"}],"tenantId":"` + c.TenantID() + `"}`, 400, "BadSyntax", ""},
		{"two members", `{"members":[{"id":"` + ana.ID + `"},{"id":"` + ben.ID + `"}],"tenantId":"` + c.TenantID() + `"}`, 400, "BadSyntax", ""},
		{"another bot", `{"bot":{"id":"28:other"},"members":[{"id":"` + ana.ID + `"}],"tenantId":"` + c.TenantID() + `"}`, 400, "BadArgument", ""},
		{"members is no list", `{"members":5}`, 400, "BadSyntax", ""},
		{"a thread without an activity", `{"channelData":{"channel":{"id":"` + base + `"}}}`, 400, "BadSyntax", ""},
		{"a thread in an unknown channel", `{"channelData":{"channel":{"id":"19:x@thread.tacv2"}},"activity":{"type":"message","text":"hi"}}`, 403, "BotNotInConversationRoster", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := k.do(http.MethodPost, "v3/conversations", tt.body)
			if got.status != tt.status || got.code() != tt.code || got.id() != tt.id {
				t.Errorf("got %d %s, want %d %s %s", got.status, got.body, tt.status, tt.code, tt.id)
			}
		})
	}
	t.Run("a new thread", func(t *testing.T) {
		t.Parallel()
		got := k.do(http.MethodPost, "v3/conversations", `{"isGroup":false,"channelData":{"channel":{"id":"`+base+`"}},"activity":{"type":"message","text":"news"}}`)
		var made struct{ ID, ActivityID string }
		if err := json.Unmarshal(got.body, &made); err != nil || got.status != 201 || made.ActivityID == "" {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		n := c.Conversation(made.ID)
		if n == nil || n == thread || n.Kind() != adaptertest.Thread || !strings.HasPrefix(made.ID, base+";messageid=") {
			t.Fatalf("new thread %q", made.ID)
		}
		if diff := cmp.Diff([]string{"news"}, shown(n)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMembers(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	k := newCaller(t, c)
	ana := c.AddUser(adaptertest.User{Name: "Ana Lima", Email: "ana@contoso.example"})
	guest := c.AddUser(adaptertest.User{Name: "Gus", Guest: true})
	users := []adaptertest.User{ana, guest}
	for range 60 {
		users = append(users, c.AddUser(adaptertest.User{}))
	}
	v, other := c.Group(users...), c.Personal(ana)
	path := func(v *adaptertest.Conversation, rest string) string {
		return "v3/conversations/" + url.PathEscape(v.ID()) + "/" + rest
	}
	want := map[string]any{
		"id": ana.ID, "name": "Ana Lima", "objectId": ana.AADObjectID, "givenName": "Ana", "surname": "Lima",
		"email": "ana@contoso.example", "userPrincipalName": ana.UPN, "tenantId": c.TenantID(), "userRole": "user",
	}
	for _, id := range []string{ana.ID, ana.AADObjectID, strings.ToUpper(ana.AADObjectID), ana.UPN} {
		got := k.do(http.MethodGet, path(v, "members/"+url.PathEscape(id)), "")
		var m map[string]any
		if err := json.Unmarshal(got.body, &m); err != nil || got.status != 200 {
			t.Fatalf("%s: got %d %s", id, got.status, got.body)
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	if got := k.do(http.MethodGet, path(v, "members/"+url.PathEscape(guest.ID)), ""); strings.Contains(string(got.body), "email") || !strings.Contains(string(got.body), `"guest"`) {
		t.Errorf("guest: %s", got.body)
	}
	for _, id := range []string{"29:nobody", guest.ID} {
		if got := k.do(http.MethodGet, path(other, "members/"+url.PathEscape(id)), ""); got.status != 404 || got.code() != "MemberNotFoundInConversation" {
			t.Errorf("%s: got %d %s", id, got.status, got.body)
		}
	}
	var all []map[string]any
	if err := json.Unmarshal(k.do(http.MethodGet, path(v, "members"), "").body, &all); err != nil || len(all) != 62 {
		t.Errorf("got %d members (%v), want 62", len(all), err)
	}
	var ids []any
	for token, pages := "", 0; pages == 0 || token != ""; pages++ {
		var page struct {
			ContinuationToken string
			Members           []map[string]any
		}
		got := k.do(http.MethodGet, path(v, "pagedmembers?pageSize=50&continuationToken="+token), "")
		if err := json.Unmarshal(got.body, &page); err != nil || pages > 2 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, m := range page.Members {
			ids = append(ids, m["id"])
		}
		token = page.ContinuationToken
	}
	if len(ids) != 62 || ids[0] != ana.ID || ids[61] != users[61].ID {
		t.Errorf("got %d members over all pages", len(ids))
	}
	for _, q := range []string{"pageSize=x", "continuationToken=junk", "continuationToken=from-99"} {
		if got := k.do(http.MethodGet, path(v, "pagedmembers?"+q), ""); got.status != 400 {
			t.Errorf("%s: got %d", q, got.status)
		}
	}
}
