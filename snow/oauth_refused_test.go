package snow_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
)

func TestLateRefusalIsOfTheOldToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{api: func(_ int, r *http.Request, _ []byte) fakeAnswer {
			if r.Header.Get("Authorization") == "Bearer access-1" {
				return fakeAnswer{status: 401}
			}
			return fakeAnswer{body: `{}`}
		}}
		var calls atomic.Int64
		c := newFakeClient(t, &f, func(o *snow.ClientOptions) {
			o.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := f.RoundTrip(r)
				if r.URL.Path != "/oauth_token.do" {
					<-time.After(time.Duration(calls.Add(1)) * time.Second)
				}
				return resp, err
			})}
		})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { say(t, c) })
		}
		wg.Wait()
		if d := cmp.Diff([]string{"password", "refresh_token"}, f.asked()); d != "" {
			t.Errorf("asked (-want +got):\n%s", d)
		}
	})
}

func TestRejectedCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		f := fakeInstance{token: func(int, url.Values) fakeAnswer {
			if good.Load() {
				return fakeAnswer{body: tokenBody("access-1", "1799")}
			}
			return rejected
		}}
		c := newFakeClient(t, &f)
		for i := range 600 { // ten minutes of tries
			err := c.Say(t.Context(), testChat, hello)
			var e *snow.Error
			if !errors.As(err, &e) || e.Op != "token" || e.StatusCode != http.StatusUnauthorized || e.Written || !errors.Is(err, snow.ErrCredentials) {
				t.Fatalf("%#v", err)
			}
			if i == 1 && e.RetryAfter != 2*time.Second {
				t.Errorf("RetryAfter %v a second after the failure, want 2s", e.RetryAfter)
			}
			noSecrets(t, err.Error())
			<-time.After(time.Second)
		}
		if n := len(f.asked()); n < 5 || n > 16 {
			t.Errorf("%d logins in ten minutes, want 5 to 16: some instances lock the user", n)
		}
		good.Store(true)
		<-time.After(time.Minute)
		say(t, c)
		if n := len(f.called()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestTokenFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer fakeAnswer
		want   snow.Error
		reject bool
	}{
		{"401", rejected, snow.Error{StatusCode: 401}, true},
		{"400", fakeAnswer{status: 400, body: `{"error":"invalid_grant"}`}, snow.Error{StatusCode: 400}, true},
		{"error under 200", fakeAnswer{body: `{"error":"server_error","error_description":"` + testSecret + `"}`}, snow.Error{StatusCode: 200}, true},
		{"page under 200", fakeAnswer{body: "<html>" + testSecret}, snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"page as text", fakeAnswer{header: http.Header{"Content-Type": {"text/plain"}}, body: "<p>"}, snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"no token", fakeAnswer{body: `{}`}, snow.Error{StatusCode: 200}, false},
		{"expires_in is an object", fakeAnswer{body: tokenBody("access-1", "{}")}, snow.Error{StatusCode: 200}, false},
		{"cut short", fakeAnswer{body: `{"access_token":"access-1`}, snow.Error{StatusCode: 200}, false},
		{"500", fakeAnswer{status: 500, body: testSecret}, snow.Error{StatusCode: 500}, false},
		{"503 with a date", fakeAnswer{
			status: 503, header: http.Header{"Retry-After": {noon.Add(30 * time.Second).Format(http.TimeFormat)}},
		}, snow.Error{StatusCode: 503, RetryAfter: 29877 * time.Millisecond}, false},
		{"429 with seconds", fakeAnswer{status: 429, header: http.Header{"Retry-After": {"7"}}}, snow.Error{StatusCode: 429, RetryAfter: 7 * time.Second}, false},
		{"redirect", fakeAnswer{status: 302, header: http.Header{"Location": {"https://evil.example/"}}}, snow.Error{StatusCode: 302}, false},
		{"not found", fakeAnswer{status: 404, body: "<html>"}, snow.Error{StatusCode: 404}, false},
		{"network", fakeAnswer{err: fmt.Errorf("broken by %s", testSecret)}, snow.Error{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakeInstance{token: func(int, url.Values) fakeAnswer { return tt.answer }}
			c := newFakeClient(t, &f, atNoon)
			err := c.Say(t.Context(), testChat, hello)
			var got *snow.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			noSecrets(t, fmt.Sprintf("%v %+v", err, *got))
			if errors.Is(err, snow.ErrCredentials) != tt.reject {
				t.Errorf("%v: rejected credentials: %v, want %v", err, !tt.reject, tt.reject)
			}
			tt.want.Op, tt.want.Err = "token", got.Err
			if *got != tt.want {
				t.Errorf("%+v, want %+v", *got, tt.want)
			}
			if n := len(f.asked()); n != 1 || len(f.called()) != 0 {
				t.Errorf("asked %d times, called %d times", n, len(f.called()))
			}
		})
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{api: func(n int, r *http.Request, _ []byte) fakeAnswer {
			if r.Header.Get("Authorization") == "Bearer access-1" && n > 1 {
				return fakeAnswer{status: 401}
			}
			return fakeAnswer{body: `{"status":"success"}`}
		}}
		c := newFakeClient(t, &f)
		say(t, c)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { say(t, c) })
		}
		wg.Wait()
		if d := cmp.Diff([]string{"password", "refresh_token"}, f.asked()); d != "" {
			t.Errorf("asked (-want +got):\n%s", d)
		}
		calls := f.called()
		if first, last := calls[1], calls[len(calls)-1]; string(first.body) == "" || string(first.body) != string(last.body) {
			t.Errorf("repeated as %q, want %q", last.body, first.body)
		}
	})
}

func TestTokenThatComesBackIsSignedInFor(t *testing.T) {
	t.Parallel()
	f := fakeInstance{
		token: func(n int, form url.Values) fakeAnswer {
			if form.Get("grant_type") == "refresh_token" {
				return fakeAnswer{body: tokenBody("access-1", "1000")} // the one that was revoked
			}
			return fakeAnswer{body: tokenBody(fmt.Sprintf("access-%d", n), "1799")}
		},
		api: func(n int, r *http.Request, _ []byte) fakeAnswer {
			if n > 1 && r.Header.Get("Authorization") == "Bearer access-1" {
				return fakeAnswer{status: 401}
			}
			return fakeAnswer{body: `{}`}
		},
	}
	c := newFakeClient(t, &f)
	say(t, c)
	say(t, c)
	if d := cmp.Diff([]string{"password", "refresh_token", "password"}, f.asked()); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
}

func TestEveryTokenRefusedIsNoLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{api: func(int, *http.Request, []byte) fakeAnswer { return fakeAnswer{status: 401} }}
		c := newFakeClient(t, &f)
		for range 100 { // ten seconds
			err := c.Say(t.Context(), testChat, hello)
			var e *snow.Error
			if !errors.As(err, &e) || e.Op != "message" || e.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%#v", err)
			}
			<-time.After(100 * time.Millisecond)
		}
		if n := len(f.asked()); n > 6 {
			t.Errorf("asked %d times for a token in ten seconds", n)
		}
	})
}

func TestFailedRenewalLeavesTheOldTokenInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{token: func(n int, _ url.Values) fakeAnswer {
			if n > 1 {
				return fakeAnswer{status: 500}
			}
			return fakeAnswer{body: tokenBody("access-1", "1799")}
		}}
		c := newFakeClient(t, &f)
		say(t, c)
		<-time.After(1745 * time.Second)
		for range 50 {
			say(t, c)
			<-time.After(time.Second)
		}
		if n := len(f.asked()); n < 10 || n > 18 {
			t.Errorf("asked %d times in 50 seconds, want one each three seconds", n)
		}
	})
}
