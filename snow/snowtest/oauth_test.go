package snowtest_test

import (
	"net/http"
	"testing"
	"time"

	"snowbot/snow/snowtest"

	"github.com/google/go-cmp/cmp"
)

func TestToken(t *testing.T) {
	t.Parallel()
	denied := object{"error": "server_error", "error_description": "access_denied"}

	t.Run("LiveTokenIsHandedOutAgainWithLessTime", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		s := newSite(t, snowtest.Options{Now: c.Now})
		first := s.token()
		want := object{
			"access_token": first.object["access_token"], "refresh_token": first.object["refresh_token"],
			"scope": "useraccount", "token_type": "Bearer", "expires_in": 1800.0,
		}
		if diff := cmp.Diff(want, first.object); diff != "" {
			t.Error(diff)
		}
		c.advance(1797 * time.Second)
		want["expires_in"] = 3.0
		if diff := cmp.Diff(want, s.token().object); diff != "" {
			t.Error(diff)
		}
		refreshed := s.token("grant_type", "refresh_token", "refresh_token", first.object["refresh_token"].(string))
		if diff := cmp.Diff(want, refreshed.object); diff != "" {
			t.Error(diff)
		}
		c.advance(3 * time.Second)
		if again := s.token(); again.object["access_token"] == first.object["access_token"] {
			t.Error("an expired token was handed out")
		}
		if n := s.TokensIssued(); n != 2 {
			t.Errorf("%d tokens were issued, want 2", n)
		}
	})
	t.Run("EveryFailureLooksTheSame", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		s := newSite(t, snowtest.Options{Now: c.Now})
		refresh := s.token().object["refresh_token"].(string)
		for name, edits := range map[string][]string{
			"secret":             {"client_secret", "wrong"},
			"application":        {"client_id", "wrong"},
			"user":               {"username", "wrong"},
			"password":           {"password", "wrong"},
			"grant":              {"grant_type", "authorization_code"},
			"client credentials": {"grant_type", "client_credentials"},
			"refresh token":      {"grant_type", "refresh_token", "refresh_token", "wrong"},
		} {
			a := s.token(edits...)
			if diff := cmp.Diff(denied, a.object); a.status != http.StatusUnauthorized || diff != "" {
				t.Errorf("%s: status %d, %s", name, a.status, diff)
			}
		}
		c.advance(101 * 24 * time.Hour)
		if a := s.token("grant_type", "refresh_token", "refresh_token", refresh); a.status != http.StatusUnauthorized {
			t.Errorf("old refresh token: status %d", a.status)
		}
	})
	t.Run("JSONBodyAndParametersInTheAddressAreDenied", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id, secret, user, password := s.Credentials()
		query := "grant_type=password&client_id=" + id + "&client_secret=" + secret + "&username=" + user + "&password=" + password
		form := "application/x-www-form-urlencoded"
		if a := s.must(http.MethodPost, "/oauth_token.do?"+query, "", "Content-Type", form); a.status != http.StatusUnauthorized {
			t.Errorf("parameters in the address: status %d", a.status)
		}
		if a := s.must(http.MethodPost, "/oauth_token.do", query, "Content-Type", "application/json"); a.status != http.StatusUnauthorized {
			t.Errorf("JSON: status %d", a.status)
		}
		if a := s.must(http.MethodPost, "/oauth_token.do", query, "Content-Type", form); a.status != http.StatusOK {
			t.Errorf("form: status %d", a.status)
		}
	})
	t.Run("ClientCredentialsGiveNoRefreshToken", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{ClientCredentials: true})
		a := s.token("grant_type", "client_credentials")
		if _, has := a.object["refresh_token"]; has || a.object["access_token"] == nil {
			t.Errorf("got %v", a.object)
		}
	})
	t.Run("RevokedAndExpiredTokensAreNotTaken", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		bearer := s.bearer()
		if a := s.get("/api/now/table/sys_user"); a.status != http.StatusOK {
			t.Fatalf("status %d", a.status)
		}
		s.ExpireTokens()
		a := s.get("/api/now/table/sys_user")
		want := object{
			"error":  object{"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
			"status": "failure",
		}
		if diff := cmp.Diff(want, a.object); a.status != http.StatusUnauthorized || diff != "" {
			t.Errorf("status %d, %s", a.status, diff)
		}
		s.auth = ""
		if s.bearer() == bearer {
			t.Error("the expired token was handed out")
		}
		s.must(http.MethodPost, "/oauth_revoke_token.do?token="+s.auth[len("Bearer "):], "")
		if a := s.get("/api/now/table/sys_user"); a.status != http.StatusUnauthorized {
			t.Errorf("revoked: status %d", a.status)
		}
	})
	t.Run("ExpiredRefreshTokenIsDenied", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		refresh := s.token().object["refresh_token"].(string)
		s.ExpireRefreshTokens()
		if a := s.token("grant_type", "refresh_token", "refresh_token", refresh); a.status != http.StatusUnauthorized {
			t.Errorf("status %d", a.status)
		}
	})
	t.Run("BasicLoginWorks", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Username: "u", Password: "p"})
		if a := s.must(http.MethodGet, "/api/now/table/sys_user", "", "Authorization", "Basic dTpw"); a.status != http.StatusOK {
			t.Errorf("status %d", a.status)
		}
		if a := s.must(http.MethodGet, "/api/now/table/sys_user", "", "Authorization", "Basic dTpx"); a.status != http.StatusUnauthorized {
			t.Errorf("wrong password: status %d", a.status)
		}
	})
}
