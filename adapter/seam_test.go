package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"snowbot/adapter"

	"github.com/google/go-cmp/cmp"
	"github.com/infracloudio/msbotbuilder-go/core"
	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

// echoBot is written as that library's samples are, and knows nothing of us.
var echoBot = activity.HandlerFuncs{
	OnMessageFunc: func(turn *activity.TurnContext) (schema.Activity, error) {
		return turn.SendActivity(activity.MsgOptionText("Echo: " + turn.Activity.Text))
	},
	OnConversationUpdateFunc: func(turn *activity.TurnContext) (schema.Activity, error) {
		for _, m := range turn.Activity.MembersAdded {
			if m.ID != turn.Activity.Recipient.ID {
				return turn.SendActivity(activity.MsgOptionText("Welcome"))
			}
		}
		return schema.Activity{}, nil
	},
}

// A call is what the other side of a Connector saw.
type call struct {
	Method, Path string
	Body         map[string]any
}

// A teams is the other side of a Connector.
type teams struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

func newTeams(t *testing.T) *teams {
	t.Helper()
	s := &teams{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{Method: r.Method, Path: r.URL.EscapedPath()}
		if r.Method != http.MethodDelete {
			if err := json.NewDecoder(r.Body).Decode(&c.Body); err != nil {
				t.Errorf("%s %s: body is no JSON object: %v", r.Method, r.URL, err)
			}
		}
		s.mu.Lock()
		s.calls = append(s.calls, c)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		if _, err := w.Write([]byte(`{"id":"sent-1"}`)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *teams) seen() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

type staticToken struct{}

func (staticToken) Token(context.Context) (string, error) { return "outgoing", nil }
func (staticToken) Forget(string)                         {}

func seamConnector(t *testing.T) *adapter.Connector {
	t.Helper()
	c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: staticToken{}, Hosts: adapter.HostPolicy{AllowLoopback: true}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newAdapter(t *testing.T, c *clock) *adapter.Adapter {
	t.Helper()
	ad, err := adapter.NewAdapter(adapter.AdapterOptions{
		Verifier: newVerifier(t, newIdentityProvider(), c, nil), Connector: seamConnector(t),
		AppID: appID, Tenants: []string{tenantID}, Hosts: adapter.HostPolicy{AllowLoopback: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ad
}

// postTo returns a request with a, signed for its service URL.
func postTo(t *testing.T, c *clock, a *adapter.Activity) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/messages", strings.NewReader(doorJSON(t, a)))
	r.Header.Set("Authorization", "Bearer "+newToken(t, c, func(s *tokenSpec) { s.claims["serviceurl"] = a.ServiceURL }))
	return r
}

func TestAdapterRunsAHandlerOfTheLibraryUnchanged(t *testing.T) {
	t.Parallel()
	s, c := newTeams(t), newClock()
	var ad core.Adapter = newAdapter(t, c)
	process := func(change func(a *adapter.Activity)) {
		t.Helper()
		in, err := ad.ParseRequest(t.Context(), postTo(t, c, newActivity(func(a *adapter.Activity) {
			a.ServiceURL = s.URL + "/teams/"
			if change != nil {
				change(a)
			}
		})))
		if err != nil {
			t.Fatal(err)
		}
		if err := ad.ProcessActivity(t.Context(), in, echoBot); err != nil {
			t.Fatal(err)
		}
	}
	process(nil)
	process(func(a *adapter.Activity) {
		a.Type, a.Text, a.MembersAdded = adapter.TypeConversationUpdate, "", []adapter.ChannelAccount{*a.Recipient, *a.From}
	})
	process(func(a *adapter.Activity) { // nothing to say
		a.Type, a.Text, a.MembersAdded = adapter.TypeConversationUpdate, "", []adapter.ChannelAccount{*a.Recipient}
	})
	process(func(a *adapter.Activity) { a.Type, a.Name = adapter.TypeInvoke, "x" })         // no function
	process(func(a *adapter.Activity) { a.Type = adapter.TypeInstallationUpdate })          // no method
	process(func(a *adapter.Activity) { a.Value = json.RawMessage(`"text"`); a.Text = "" }) // does not fit the schema

	got := s.seen()
	if len(got) != 3 {
		t.Fatalf("%d activities were sent, want 3: %v", len(got), got)
	}
	for i, text := range []string{"Echo: hello", "Welcome", "Echo: "} {
		if got[i].Body["text"] != text || got[i].Body["type"] != "message" {
			t.Errorf("activity %d = %v, want the text %q", i, got[i].Body, text)
		}
		if want := "/teams/v3/conversations/a:1conversation/activities"; strings.ReplaceAll(got[i].Path, "%3A", ":") != want {
			t.Errorf("path = %s, want %s", got[i].Path, want)
		}
		wantUnpolluted(t, got[i].Body)
	}
}

// wantUnpolluted looks for the zero values that the library's own client sends.
func wantUnpolluted(t *testing.T, body map[string]any) {
	t.Helper()
	for _, name := range []string{"timestamp", "localTimestamp", "expiration", "suggestedActions", "relatesTo", "semanticAction", "id"} {
		if v, ok := body[name]; ok {
			t.Errorf("%s = %v was sent", name, v)
		}
	}
	for name, v := range body {
		if m, ok := v.(map[string]any); ok && len(m) == 0 || v == nil {
			t.Errorf("%s = %v was sent", name, v)
		}
	}
}

func TestAdapterSendsUpdatesAndDeletes(t *testing.T) {
	t.Parallel()
	s, c := newTeams(t), newClock()
	ad := newAdapter(t, c)
	in, err := ad.ParseRequest(t.Context(), postTo(t, c, newActivity(func(a *adapter.Activity) { a.ServiceURL = s.URL })))
	if err != nil {
		t.Fatal(err)
	}
	ref := activity.GetCoversationReference(in)
	if err := ad.ProactiveMessage(t.Context(), ref, echoBot); err != nil {
		t.Error(err)
	}
	update := activity.ApplyConversationReference(schema.Activity{Type: schema.Message, Text: "Changed"}, ref, true)
	update.ID = "1700"
	if err := ad.UpdateActivity(t.Context(), update); err != nil {
		t.Error(err)
	}
	if err := ad.DeleteActivity(t.Context(), "1701", ref); err != nil {
		t.Error(err)
	}
	var got []string
	for _, c := range s.seen() {
		got = append(got, c.Method+" "+strings.ReplaceAll(c.Path, "%3A", ":"))
	}
	want := []string{
		"POST /v3/conversations/a:1conversation/activities",
		"PUT /v3/conversations/a:1conversation/activities/1700",
		"DELETE /v3/conversations/a:1conversation/activities/1701",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("calls (-want +got):\n%s", diff)
	}
	if _, ok := s.seen()[0].Body["replyToId"]; ok {
		t.Error("the proactive message is a reply")
	}
	if from, ok := s.seen()[1].Body["from"].(map[string]any); ok && from["id"] == "29:user" {
		t.Error("the update claims to come from the user")
	}
}

func TestAdapterRefusesRequests(t *testing.T) {
	t.Parallel()
	c := newClock()
	ad := newAdapter(t, c)
	var auth *adapter.AuthError
	var request *adapter.RequestError

	forged := postTo(t, c, newActivity(nil))
	forged.Header.Set("Authorization", "Bearer a.b.c")
	if a, err := ad.ParseRequest(t.Context(), forged); !errors.As(err, &auth) || auth.Status != 401 || a.Type != "" {
		t.Errorf("forged: ParseRequest = %v, %v, want an empty activity and 401", a.Type, err)
	}
	foreign := postTo(t, c, newActivity(func(a *adapter.Activity) { a.Conversation.TenantID = "other" }))
	if a, err := ad.ParseRequest(t.Context(), foreign); !errors.As(err, &auth) || auth.Status != 403 || a.Type != "" {
		t.Errorf("foreign: ParseRequest = %v, %v, want an empty activity and 403", a.Type, err)
	}
	get := postTo(t, c, newActivity(nil))
	get.Method = http.MethodGet
	if _, err := ad.ParseRequest(t.Context(), get); !errors.As(err, &request) || request.Status != 405 {
		t.Errorf("GET: ParseRequest = %v, want 405", err)
	}
	if _, err := adapter.NewAdapter(adapter.AdapterOptions{AppID: appID, Tenants: []string{"*"}}); err == nil {
		t.Error("NewAdapter without verifier and connector = nil error")
	}
}

func TestLibrarysOwnAdapterRunsOnOurParts(t *testing.T) {
	t.Parallel()
	s, c := newTeams(t), newClock()
	v := newVerifier(t, newIdentityProvider(), c, nil)
	own := core.BotFrameworkAdapter{TokenValidator: v, Client: adapter.LibraryClient(seamConnector(t))}
	in, err := own.ParseRequest(t.Context(), postTo(t, c, newActivity(func(a *adapter.Activity) { a.ServiceURL = s.URL + "/teams/" })))
	if err != nil {
		t.Fatal(err)
	}
	if err := own.ProcessActivity(t.Context(), in, echoBot); err != nil {
		t.Fatal(err)
	}
	ref := activity.GetCoversationReference(in)
	update := activity.ApplyConversationReference(schema.Activity{Type: schema.Message, Text: "Changed"}, ref, true)
	update.ID = "1700"
	if err := own.UpdateActivity(t.Context(), update); err != nil {
		t.Error(err)
	}
	if err := own.DeleteActivity(t.Context(), "1701", ref); err != nil {
		t.Error(err)
	}
	if got := len(s.seen()); got != 3 {
		t.Errorf("%d calls were made, want 3", got)
	}
	// The library would send this to another conversation of the same service.
	ref.Conversation.ID = "19:a/../../conversations/a:victim"
	evil := activity.ApplyConversationReference(schema.Activity{Type: schema.Message, Text: "x"}, ref, false)
	if err := own.ProcessActivity(t.Context(), evil, echoBot); err == nil {
		t.Error("an id that climbs out of its place was sent to")
	}
	if got := len(s.seen()); got != 3 {
		t.Errorf("%d calls were made, want 3", got)
	}

	identity, err := v.AuthenticateRequest(t.Context(), in, postTo(t, c, newActivity(func(a *adapter.Activity) { a.ServiceURL = s.URL + "/teams" })).Header.Get("Authorization"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if !identity.IsAuthenticated() || identity.GetClaimValue("aud") != appID || identity.GetClaimValue("tid") != "" {
		t.Error("the identity does not hold what was verified")
	}
}
