package adapter_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter"

	"github.com/google/go-cmp/cmp"
)

const ada = `{"id":"29:user","name":"Ada L","objectId":"aad-1","givenName":"Ada","surname":"L","email":"ada@example.org","userPrincipalName":"ada@example.org","tenantId":"t","userRole":"user"}`

func TestMember(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(200, ada))
	ref := s.ref()
	ref.ConversationID = "19:c@thread.tacv2;messageid=1"
	got, err := openConnector(t, nil).Member(t.Context(), ref, "29:user/x")
	if err != nil {
		t.Fatal(err)
	}
	got.Extra = nil
	want := adapter.ChannelAccount{
		ID: "29:user", Name: "Ada L", AADObjectID: "aad-1", GivenName: "Ada", Surname: "L",
		Email: "ada@example.org", UserPrincipalName: "ada@example.org", TenantID: "t", UserRole: "user",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	if got, want := s.requests()[0].URI, "/emea/v3/conversations/19:c@thread.tacv2/members/29:user%2Fx"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	gone := newService(t, answer(404, connectorBody("ConversationNotFound")))
	_, err = openConnector(t, nil).Member(t.Context(), gone.ref(), "u")
	if e := wantError(t, err); e.Op != "member" || e.StatusCode != http.StatusNotFound || e.Code != "ConversationNotFound" {
		t.Errorf("Member error = %+v", e)
	}
	for _, body := range []string{"", "null", "[]"} {
		s := newService(t, answer(200, body))
		_, err := openConnector(t, nil).Member(t.Context(), s.ref(), "u")
		_ = wantError(t, err)
	}
}

func TestMemberIsKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var status atomic.Int32
	status.Store(404)
	s := newService(t, func(w http.ResponseWriter, r *http.Request) { answer(int(status.Load()), ada)(w, r) })
	c := openConnector(t, func(o *adapter.ConnectorOptions) { o.Now = func() time.Time { return now } })
	ref := s.ref()
	look := func(conversation, user string, ok bool, asked int) {
		t.Helper()
		ref.ConversationID = conversation
		m, err := c.Member(t.Context(), ref, user)
		if (err == nil) != ok {
			t.Errorf("Member error = %v", err)
		}
		if ok {
			m.Extra["objectId"][1] = '#' // what is kept must not change with it
			clear(m.Extra)
		}
		if got := len(s.requests()); got != asked {
			t.Errorf("asked %d times, want %d", got, asked)
		}
	}
	look("a", "u", false, 1)
	look("a", "u", false, 2) // failures are not kept
	status.Store(200)
	look("a", "u", true, 3)
	look("a", "u", true, 3)
	look("a;messageid=1", "u", true, 3) // a thread has the members of its channel
	look("b", "u", true, 4)
	look("a", "v", true, 5)
	now = now.Add(time.Hour - time.Second)
	look("a", "u", true, 5)
	now = now.Add(time.Second)
	look("a", "u", true, 6)
}

func TestMembersKeptAreBounded(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	c := openConnector(t, func(o *adapter.ConnectorOptions) {
		o.HTTP = &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) {
			requests.Add(1)
			return 200, ada, nil
		})}
	})
	ref := adapter.Reference{ServiceURL: "https://smba.trafficmanager.net/emea/", ConversationID: "a:1"}
	look := func(user string) (asked bool) {
		before := requests.Load()
		if _, err := c.Member(t.Context(), ref, user); err != nil {
			t.Fatal(err)
		}
		return requests.Load() > before
	}
	look("often")
	for i := range 5000 {
		look(strconv.Itoa(i))
		if look("often") {
			t.Fatalf("a member that is in use was forgotten after %d others", i)
		}
	}
	if look("4999") {
		t.Error("the newest member was forgotten")
	}
	if !look("0") {
		t.Error("5000 members are kept")
	}
}

func TestMemberIsLookedUpOnceByAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{})
	proceed := make(chan struct{})
	var once sync.Once
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(inside) })
		<-proceed
		answer(200, ada)(w, r)
	})
	c := openConnector(t, nil)
	impatient, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { // whoever asks first may give up
		_, err := c.Member(impatient, s.ref(), "u")
		if e := wantError(t, err); e.Op != "member" || !errors.Is(err, context.Canceled) {
			t.Errorf("Member error = %v", err)
		}
		close(proceed)
	})
	<-inside
	for range 20 {
		group.Go(func() {
			m, err := c.Member(t.Context(), s.ref(), "u")
			if err != nil || m.Email != "ada@example.org" {
				t.Errorf("Member = %q, %v", m.Email, err)
			}
			clear(m.Extra)
		})
	}
	cancel()
	group.Wait()
	if n := len(s.requests()); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}
