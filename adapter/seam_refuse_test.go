package adapter_test

import (
	"errors"
	"net/url"
	"testing"

	"snowbot/adapter"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

func TestAuthenticateRequestRefuses(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := newVerifier(t, newIdentityProvider(), c, nil)
	good := "Bearer " + newToken(t, c, nil)
	teams := schema.Activity{ServiceURL: serviceURL, ChannelID: "msteams"}
	for _, tt := range []struct {
		name, header string
		activity     schema.Activity
		credentials  auth.CredentialProvider
		want         int
	}{
		{"good", good, teams, auth.SimpleCredentialProvider{AppID: appID}, 0},
		{"good without credentials", good, teams, nil, 0},
		{"credentials of another bot", good, teams, auth.SimpleCredentialProvider{AppID: "other"}, 401},
		{"credentials of none, which the library takes for no need to ask", good, teams, auth.SimpleCredentialProvider{}, 401},
		{"no header", "", teams, nil, 401},
		{"junk", "Bearer a.b.c", teams, nil, 401},
		{"other service URL", good, schema.Activity{ServiceURL: "https://smba.trafficmanager.net/emea/", ChannelID: "msteams"}, nil, 401},
		{"other channel", good, schema.Activity{ServiceURL: serviceURL, ChannelID: "directline"}, nil, 403},
	} {
		identity, err := v.AuthenticateRequest(t.Context(), tt.activity, tt.header, tt.credentials, "")
		wantRefusal(t, tt.name, err, tt.want, "")
		if (identity != nil) != (tt.want == 0) {
			t.Errorf("%s: identity = %v", tt.name, identity)
		}
	}
}

func TestLibraryClientRefusesAddresses(t *testing.T) {
	t.Parallel()
	s := newTeams(t)
	client := adapter.LibraryClient(seamConnector(t))
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	message := schema.Activity{Type: schema.Message, Text: "x", Conversation: schema.ConversationAccount{ID: "a:1"}}
	for _, path := range []string{
		"", "/v3/conversations/", "/v3/conversations/a:1", "/v3/conversations//activities/5", "/v3/a:1/activities/5",
		"/v3/conversations/a:1/b/activities/5", "/v3/conversations/a:1/activities/5/6", "/v3/conversations/a:2/activities/5",
	} {
		u := *base
		u.Path = path
		for method, err := range map[string]error{"Post": client.Post(t.Context(), u, message), "Put": client.Put(t.Context(), u, message)} {
			if err == nil {
				t.Errorf("%s to %q has no error", method, path)
			}
		}
		if path != "/v3/conversations/a:2/activities/5" && client.Delete(t.Context(), u) == nil { // that one names a conversation
			t.Errorf("Delete of %q has no error", path)
		}
	}
	u := *base
	u.Path = "/v3/conversations/a:1/activities/5"
	broken := message
	broken.Value = map[string]any{"f": func() {}}
	nothing := message
	nothing.Text = ""
	if client.Post(t.Context(), u, broken) == nil || client.Put(t.Context(), u, broken) == nil || client.Put(t.Context(), u, nothing) == nil {
		t.Error("what cannot be sent has no error")
	}
	if err := client.Post(t.Context(), u, nothing); err != nil {
		t.Errorf("nothing to say: %v", err)
	}
	if _, err := client.Get(t.Context(), u); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Get = %v", err)
	}
	if got := s.seen(); len(got) != 0 {
		t.Errorf("sent: %v", got)
	}
	message.From, message.Recipient = schema.ChannelAccount{ID: "29:user"}, schema.ChannelAccount{ID: "28:bot"} // as the library's sample has it
	if err := client.Put(t.Context(), u, message); err != nil {
		t.Fatal(err)
	}
	if got := s.seen(); len(got) != 1 || got[0].Body["from"] != nil || got[0].Body["recipient"] != nil || got[0].Body["text"] != "x" {
		t.Errorf("sent: %v, want one update that says nothing of who it is from", got)
	}
}

func TestAdapterSendsToWhereTheAnswerSays(t *testing.T) {
	t.Parallel()
	s, c := newTeams(t), newClock()
	ad := newAdapter(t, c)
	in, err := ad.ParseRequest(t.Context(), postTo(t, c, newActivity(func(a *adapter.Activity) { a.ServiceURL = s.URL })))
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("database down")
	for _, tt := range []struct {
		name   string
		answer schema.Activity
		err    error
		want   string // the conversation; "" when nothing is sent
	}{
		{name: "where it came from", answer: schema.Activity{Text: "x"}, want: "a:1conversation"},
		{name: "elsewhere", answer: schema.Activity{Text: "x", ServiceURL: s.URL, Conversation: schema.ConversationAccount{ID: "a:2"}}, want: "a:2"},
		{name: "elsewhere, without a service URL", answer: schema.Activity{Text: "x", Conversation: schema.ConversationAccount{ID: "a:2"}}, want: "a:2"},
		{name: "nowhere", answer: schema.Activity{Text: "x", ServiceURL: s.URL}, want: "a:1conversation"},
		{name: "an error", answer: schema.Activity{Text: "x"}, err: refusal},
	} {
		before := len(s.seen())
		err := ad.ProcessActivity(t.Context(), in, onMessage(func(*activity.TurnContext) (schema.Activity, error) { return tt.answer, tt.err }))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: ProcessActivity = %v, want %v", tt.name, err, tt.err)
		}
		sent := s.seen()[before:]
		switch {
		case tt.want == "" && len(sent) > 0:
			t.Errorf("%s: sent %v", tt.name, sent)
		case tt.want != "" && (len(sent) != 1 || sent[0].Path != "/v3/conversations/"+tt.want+"/activities"):
			t.Errorf("%s: sent %v, want one to %s", tt.name, sent, tt.want)
		}
	}
	before := len(s.seen())
	broken := schema.Activity{ID: "5", Text: "x", ServiceURL: s.URL, Conversation: in.Conversation, Value: map[string]any{"f": func() {}}}
	if ad.ProcessActivity(t.Context(), in, onMessage(func(*activity.TurnContext) (schema.Activity, error) { return broken, nil })) == nil ||
		ad.UpdateActivity(t.Context(), broken) == nil {
		t.Error("an answer that cannot be encoded has no error")
	}
	if ad.UpdateActivity(t.Context(), schema.Activity{ID: "5", ServiceURL: s.URL, Conversation: in.Conversation}) == nil {
		t.Error("an update to nothing has no error")
	}
	if sent := s.seen()[before:]; len(sent) > 0 {
		t.Errorf("sent %v", sent)
	}
}

func TestNewAdapterRefuses(t *testing.T) {
	t.Parallel()
	v, s := newVerifier(t, newIdentityProvider(), newClock(), nil), seamConnector(t)
	for name, o := range map[string]adapter.AdapterOptions{
		"no verifier":  {Connector: s, AppID: appID, Tenants: []string{"*"}},
		"no connector": {Verifier: v, AppID: appID, Tenants: []string{"*"}},
		"no app id":    {Verifier: v, Connector: s, Tenants: []string{"*"}},
		"no tenants":   {Verifier: v, Connector: s, AppID: appID},
	} {
		if _, err := adapter.NewAdapter(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A message of any one of these is worth sending, if only a client reads it.
func TestHandlerBotKnowsWhatSaysSomething(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]schema.Activity{
		"text":              {Text: "x"},
		"speech":            {Speak: "x"},
		"summary":           {Summary: "x"},
		"attachment":        {Attachments: []schema.Attachment{{ContentType: "image/png", ContentURL: "https://example.com/x.png"}}},
		"suggested actions": {SuggestedActions: schema.SuggestedActions{Actions: []schema.CardAction{{Title: "Yes"}}}},
		"value":             {Value: map[string]any{"a": 1}},
		"channel data":      {ChannelData: map[string]any{"a": 1}},
		"typing":            {Type: schema.Typing},
	} {
		answers, err := adapter.HandlerBot(onMessage(func(*activity.TurnContext) (schema.Activity, error) { return says, nil }))(t.Context(), newActivity(nil))
		if err != nil || len(answers) != 1 {
			t.Errorf("%s: HandlerBot = %v, %v, want one answer", name, answers, err)
		}
	}
	answers, err := adapter.HandlerBot(activity.HandlerFuncs{
		OnInvokeFunc: func(turn *activity.TurnContext) (schema.Activity, error) {
			return turn.SendActivity(activity.MsgOptionText("invoked"))
		},
	})(t.Context(), newActivity(func(a *adapter.Activity) { a.Type = adapter.TypeInvoke }))
	if err != nil || len(answers) != 1 || answers[0].Text != "invoked" {
		t.Errorf("invoke: HandlerBot = %v, %v, want one answer", answers, err)
	}
}
