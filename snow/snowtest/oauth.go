package snowtest

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// oauth keeps the one pair of tokens that the application and its user share.
type oauth struct {
	mu      sync.Mutex
	access  grant
	refresh grant
	issued  int // access tokens, to be counted by tests
}

// A grant is a token and when it ends.
type grant struct {
	token string
	ends  time.Time
}

func (g grant) valid(token string, now time.Time) bool {
	return g.token != "" && same(g.token, token) && now.Before(g.ends)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// denied is the one answer to every failure of the token endpoint: causes cannot be told apart.
func denied() reply {
	return answerJSON(http.StatusUnauthorized, map[string]string{
		"error": "server_error", "error_description": "access_denied",
	})
}

// token is oauth_token.do. Parameters are read from a form in the body only.
func (i *Instance) token(r *request) reply {
	if r.Method != http.MethodPost {
		return failure(http.StatusMethodNotAllowed, "Method not supported", "")
	}
	if mediaType(r.Header.Get("Content-Type")) != "application/x-www-form-urlencoded" {
		r.note = "token request is no form"
		return denied()
	}
	form, err := url.ParseQuery(string(r.body))
	if err != nil || !same(form.Get("client_id"), i.o.ClientID) || !same(form.Get("client_secret"), i.o.ClientSecret) {
		r.note = "unknown application"
		return denied()
	}
	a, now := &i.oauth, i.o.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := form.Get("grant_type")
	switch kind {
	case "password":
		if !same(form.Get("username"), i.o.Username) || !same(form.Get("password"), i.o.Password) {
			r.note = "unknown user"
			return denied()
		}
	case "refresh_token":
		if !a.refresh.valid(form.Get("refresh_token"), now) {
			r.note = "refresh token is not valid"
			return denied()
		}
	case "client_credentials":
		if !i.o.ClientCredentials {
			r.note = "client_credentials is not enabled"
			return denied()
		}
	default:
		r.note = "unknown grant type"
		return denied()
	}
	if !now.Before(a.access.ends) {
		a.access = grant{newID() + newID(), now.Add(i.o.TokenTTL)}
		a.issued++
	}
	// A live token is handed out again, with what is left of its time.
	answer := map[string]any{
		"access_token": a.access.token, "scope": "useraccount", "token_type": "Bearer",
		"expires_in": int(a.access.ends.Sub(now) / time.Second),
	}
	if kind != "client_credentials" {
		if !now.Before(a.refresh.ends) {
			a.refresh = grant{newID() + newID(), now.Add(i.o.RefreshTTL)}
		}
		answer["refresh_token"] = a.refresh.token
	}
	return answerJSON(http.StatusOK, answer)
}

// revoke is oauth_revoke_token.do.
func (i *Instance) revoke(r *request) reply {
	a, token := &i.oauth, r.query.Get("token")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.access.token != "" && same(token, a.access.token) {
		a.access = grant{}
	}
	if a.refresh.token != "" && same(token, a.refresh.token) {
		a.refresh = grant{}
	}
	return reply{status: http.StatusOK, header: http.Header{}}
}

// ExpireTokens ends the access token at once, so that the next call is answered 401. The refresh token stays valid.
func (i *Instance) ExpireTokens() {
	i.oauth.mu.Lock()
	defer i.oauth.mu.Unlock()
	i.oauth.access = grant{}
}

// ExpireRefreshTokens ends the refresh token.
func (i *Instance) ExpireRefreshTokens() {
	i.oauth.mu.Lock()
	defer i.oauth.mu.Unlock()
	i.oauth.refresh = grant{}
}

// TokensIssued returns how many different access tokens were handed out.
func (i *Instance) TokensIssued() int {
	i.oauth.mu.Lock()
	defer i.oauth.mu.Unlock()
	return i.oauth.issued
}

// loggedIn checks the platform login: the Bearer token, or Basic with the integration user.
func (i *Instance) loggedIn(r *request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		return same(user, i.o.Username) && same(password, i.o.Password)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	i.oauth.mu.Lock()
	defer i.oauth.mu.Unlock()
	return strings.EqualFold(scheme, "Bearer") && i.oauth.access.valid(token, i.o.Now())
}
