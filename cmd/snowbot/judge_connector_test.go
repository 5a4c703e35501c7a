package main

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
)

// A connectorCall is what botframework-connector's client is asked to do, and a connectorAnswer what it makes of it.
type (
	connectorCall struct {
		ServiceURL   string         `json:"serviceUrl"`
		Token        string         `json:"token"`
		Conversation string         `json:"conversation"`
		Member       string         `json:"member"`
		Bot          string         `json:"bot"`
		Tenant       string         `json:"tenant"`
		Activity     map[string]any `json:"activity"`
		More         bool           `json:"more"`
	}
	connectorAnswer struct{ Call, ID, Error string }
)

// A wireRequest is a request as far as it has to be the same from everybody.
type wireRequest struct {
	Method, Token, ContentType string
	Path                       []string // unescaped, so that %3A and : are one
	HasBody                    bool
	Body                       map[string]any
}

// A recorder is a service that answers everything alike and keeps what it was asked.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	seen []wireRequest
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		x := wireRequest{Method: req.Method, Token: req.Header.Get("Authorization"), HasBody: len(body) > 0}
		if x.HasBody {
			if err := json.Unmarshal(body, &x.Body); err != nil {
				t.Errorf("body %s: %v", body, err)
			}
			kind, parameters, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
			if err != nil || parameters["charset"] != "" && !strings.EqualFold(parameters["charset"], "utf-8") {
				t.Errorf("content type %q", req.Header.Get("Content-Type"))
			}
			x.ContentType = kind
		}
		for s := range strings.SplitSeq(req.RequestURI, "/") {
			u, err := url.PathUnescape(s)
			if err != nil {
				t.Errorf("path %s: %v", req.RequestURI, err)
			}
			x.Path = append(x.Path, u)
		}
		r.mu.Lock()
		r.seen = append(r.seen, x)
		r.mu.Unlock()
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"id":"1:2/3?#%"}`)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) requests() []wireRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

type fixedToken string

func (f fixedToken) Token(context.Context) (string, error) { return string(f), nil }
func (fixedToken) Forget(string)                           {}

// TestJudgeConnectorRequests compares the requests of our client with those of Microsoft's, ids that need escaping included.
func TestJudgeConnectorRequests(t *testing.T) {
	t.Parallel()
	judges(t)
	const conversation, member, sent = "19:a/../b?c#d%25 é@thread.tacv2;messageid=1", "29:1x/y=", "1:2/3?#%"
	for _, service := range []string{"/emea", "/emea/"} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			theirs, ours := newRecorder(t), newRecorder(t)
			for _, a := range node[connectorAnswer](t, "connector.mjs", nil, connectorCall{
				ServiceURL: theirs.URL + service, Token: "t", Conversation: conversation, Member: member, Bot: "28:b", Tenant: "tenant",
				Activity: map[string]any{ // with what Microsoft's framework fills in, and our client by itself
					"type": "message", "text": "hello", "from": map[string]any{"id": "28:b"}, "recipient": map[string]any{"id": member},
					"conversation": map[string]any{"id": conversation, "tenantId": "tenant"},
				},
			}) {
				if a.Error != "" {
					t.Errorf("%s: %s", a.Call, a.Error)
				}
			}
			c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: fixedToken("t"), Hosts: adapter.HostPolicy{AllowLoopback: true}})
			if err != nil {
				t.Fatal(err)
			}
			ref := adapter.Reference{
				ServiceURL: ours.URL + service, ConversationID: conversation, TenantID: "tenant", UserID: member, BotID: "28:b",
			}
			ctx, a := t.Context(), &adapter.Activity{Type: adapter.TypeMessage, Text: "hello"}
			_, err1 := c.Send(ctx, ref, a)
			_, err2 := c.Reply(ctx, ref, sent, a)
			err3 := c.Typing(ctx, ref)
			err4 := c.Update(ctx, ref, sent, &adapter.Activity{Type: adapter.TypeMessage, Text: "changed"})
			err5 := c.Delete(ctx, ref, sent)
			_, err6 := c.Member(ctx, ref, member)
			_, err7 := c.CreateConversation(ctx, ref.ServiceURL, adapter.ConversationParameters{
				Bot: &adapter.ChannelAccount{ID: "28:b"}, Members: []adapter.ChannelAccount{{ID: member}}, TenantID: "tenant",
			})
			for _, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
				if err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(theirs.requests(), ours.requests()); diff != "" {
				t.Errorf("requests (-theirs +ours):\n%s", diff)
			}
		})
	}
}

// TestJudgeEmulatedConnector has Microsoft's client talk to our emulator, which so is one that it takes for the Connector.
func TestJudgeEmulatedConnector(t *testing.T) {
	t.Parallel()
	judges(t)
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	mia := teams.AddUser(adaptertest.User{Name: "Mia Khan"})
	chat := teams.Personal(mia)
	got := map[string]connectorAnswer{}
	for _, a := range node[connectorAnswer](t, "connector.mjs", nil, connectorCall{
		ServiceURL: teams.ServiceURL(), Token: teams.AccessToken(), Conversation: chat.ID(), Member: mia.ID, Bot: teams.BotID(), Tenant: teams.TenantID(),
		Activity: map[string]any{"type": "message", "text": "hello", "from": map[string]any{"id": teams.BotID()}, "conversation": map[string]any{"id": chat.ID()}},
		More:     true,
	}) {
		got[a.Call] = a
	}
	ids := map[string]string{
		"update": got["send"].ID, "member": mia.ID, "create": chat.ID(), "members": mia.ID, "paged members": mia.ID,
		"typing": got["typing"].ID, "delete": "", "send": got["send"].ID, "reply": got["reply"].ID, "again": got["again"].ID,
	}
	refused := map[string]string{
		"unknown conversation": "404 ConversationNotFound", "unknown member": "404 MemberNotFoundInConversation", "unknown activity": "404 ActivityNotFoundInConversation",
	}
	for call, a := range got {
		if id, ok := ids[call]; a.Error != refused[call] || ok && a.ID != id {
			t.Errorf("%s: %+v, want id %q, error %q", call, a, id, refused[call])
		}
	}
	if len(got) != len(ids)+len(refused) || got["send"].ID == "" || got["reply"].ID == "" || got["again"].ID == "" {
		t.Errorf("answers %v", got)
	}
	if m := chat.Messages(); len(m) != 2 || m[0].ID != got["reply"].ID || m[1].ID != got["again"].ID {
		t.Errorf("the chat shows %v", m)
	}
}
