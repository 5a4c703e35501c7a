package adaptertest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"snowbot/adapter/adaptertest"
)

func TestCardVersions(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	k := newCaller(t, c)
	v := c.Personal(c.AddUser(adaptertest.User{}))
	for version, want := range map[string]int{
		"1.0": 201, "1.5": 201, "1": 400, "0.5": 400, "1.-1": 400, "x.5": 400, "1.x": 400, "": 400,
	} {
		if got := k.send(v, card(version)); got.status != want {
			t.Errorf("version %q: got %d, want %d", version, got.status, want)
		}
	}
	for _, body := range []string{
		`{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":null}]}`,
		`{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","version":1.5}}]}`,
		`{"type":"message","text":"?","suggestedActions":{"to":[],"actions":[]}}`,
		`{"type":"message","text":"?","suggestedActions":{"to":[],"actions":[{"title":"Yes"}]}}`,
	} {
		if got := k.send(v, body); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", body, got.status)
		}
	}
}

func TestBotChangesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	newBot(t, c)
	k := newCaller(t, c)
	u := c.AddUser(adaptertest.User{})
	v := c.Personal(u)
	p, err := v.Say(t.Context(), u, "mine")
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		if got := k.do(method, activities(v, p.ActivityID), `{"type":"message","text":"x"}`); got.status != 403 || got.code() != "NotEnoughPermissions" {
			t.Errorf("%s of what a person wrote: %d %s", method, got.status, got.body)
		}
	}
	id := k.say(v, "one").id()
	for body, want := range map[string]int{
		`{"type":"message","text":"x","id":"other"}`: 400, `{"type":"typing"}`: 400, `{"type":"message","text":"x","from":{"id":"29:other"}}`: 400,
		`{"type":"message","text":"x","id":"` + id + `","from":{"id":"` + c.AppID() + `"}}`: 200,
	} {
		if got := k.do(http.MethodPut, activities(v, id), body); got.status != want {
			t.Errorf("update with %s: %d, want %d", body, got.status, want)
		}
	}
}

// The log of the wire is shown on a page.
func TestLogHoldsNoCredentials(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{FederatedToken: "from-the-file"})
	base := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.AppID()}, "scope": {"https://api.botframework.com/.default"}}
	for name, value := range map[string]string{"client_secret": c.AppPassword(), "client_assertion": "from-the-file", "password": "hunter2"} {
		form := url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, name: {value}}
		for k, v := range base {
			form[k] = v
		}
		_, m := askToken(t, c.TokenURL(), form)
		token, _ := m["access_token"].(string)
		log := c.Log()
		last := log[len(log)-1]
		if last.RequestBody == "" || strings.Contains(last.RequestBody, url.QueryEscape(value)) || token != "" && strings.Contains(last.ResponseBody, token) {
			t.Errorf("%s: logged %q, %q", name, last.RequestBody, last.ResponseBody)
		}
	}
}

func TestPeopleAreMadeUpWhole(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	u, guest := c.AddUser(adaptertest.User{}), c.AddUser(adaptertest.User{Name: "Gil Ray Doe", Guest: true})
	if u.Name != "User 1" || u.Email != u.UPN || u.Email == "" || u.Locale != "en-US" || u.AADObjectID == "" || !strings.HasPrefix(u.ID, "29:") {
		t.Errorf("made up: %+v", u)
	}
	if guest.Email != "" || guest.GivenName != "Gil" || guest.Surname != "Ray Doe" {
		t.Errorf("guest: %+v", guest)
	}
}
