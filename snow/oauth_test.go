package snow_test

import (
	"context"
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

func TestSignInSendsAForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		grant string
		want  url.Values
	}{
		{snow.GrantPassword, url.Values{
			"grant_type": {"password"}, "client_id": {"the-client"}, "client_secret": {testSecret},
			"username": {"the-user"}, "password": {testPassword},
		}},
		{snow.GrantClientCredentials, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"the-client"}, "client_secret": {testSecret},
		}},
	} {
		t.Run(tt.grant, func(t *testing.T) {
			t.Parallel()
			var f fakeInstance
			c := newFakeClient(t, &f, func(o *snow.ClientOptions) { o.Grant = tt.grant })
			if err := c.Say(t.Context(), testChat, hello); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, f.grants[0]); d != "" {
				t.Errorf("form (-want +got):\n%s", d)
			}
		})
	}
}

// say fails the test when words cannot be said.
func say(t *testing.T, c *snow.Client) {
	t.Helper()
	if err := c.Say(t.Context(), testChat, hello); err != nil {
		t.Fatal(err)
	}
}

// bearers returns the tokens that the calls carried.
func bearers(f *fakeInstance) (out []string) {
	for _, k := range f.called() {
		out = append(out, k.header.Get("Authorization"))
	}
	return out
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{delay: time.Second}
		c := newFakeClient(t, &f)
		say(t, c)
		<-time.After(1700 * time.Second)
		say(t, c)
		if d := cmp.Diff([]string{"password"}, f.asked()); d != "" {
			t.Fatalf("asked (-want +got):\n%s", d)
		}
		<-time.After(40 * time.Second)
		began := time.Now()
		say(t, c) // under the old token, while the new one is on its way
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %v for a token that was not needed", took)
		}
		<-time.After(2 * time.Second)
		say(t, c)
		if d := cmp.Diff([]string{"password", "refresh_token"}, f.asked()); d != "" {
			t.Errorf("asked (-want +got):\n%s", d)
		}
		if got := f.grants[1].Get("refresh_token"); got != "refresh-of-access-1" {
			t.Errorf("refresh token %q", got)
		}
		if d := cmp.Diff([]string{"Bearer access-1", "Bearer access-1", "Bearer access-1", "Bearer access-2"}, bearers(&f)); d != "" {
			t.Errorf("tokens (-want +got):\n%s", d)
		}
	})
}

func TestEndedTokenIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{delay: time.Second}
		c := newFakeClient(t, &f)
		say(t, c)
		<-time.After(time.Hour)
		say(t, c)
		if d := cmp.Diff([]string{"Bearer access-1", "Bearer access-2"}, bearers(&f)); d != "" {
			t.Errorf("tokens (-want +got):\n%s", d)
		}
	})
}

func TestRefusedRefreshSignsInOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{token: func(n int, form url.Values) fakeAnswer {
			if form.Get("grant_type") == "refresh_token" {
				return rejected
			}
			return fakeAnswer{body: tokenBody(fmt.Sprintf("access-%d", n), `"1799"`)}
		}}
		c := newFakeClient(t, &f)
		for range 3 {
			say(t, c)
			<-time.After(time.Hour)
		}
		want := []string{"password", "refresh_token", "password", "refresh_token", "password"}
		if d := cmp.Diff(want, f.asked()); d != "" {
			t.Errorf("asked (-want +got):\n%s", d)
		}
	})
}

func TestRefreshThatFailsOtherwiseDoesNotSignIn(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]fakeAnswer{
		"unavailable": {status: 503},
		"throttled":   {status: 429},
		"page":        {body: "<html>hibernating</html>"},
		"no network":  {err: errors.New("no route")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := fakeInstance{token: func(n int, form url.Values) fakeAnswer {
					if n == 2 {
						return a
					}
					return fakeAnswer{body: tokenBody("access-1", "1799")}
				}}
				c := newFakeClient(t, &f)
				say(t, c)
				<-time.After(time.Hour)
				if err := c.Say(t.Context(), testChat, hello); err == nil {
					t.Error("said without a token")
				}
				<-time.After(time.Minute)
				say(t, c)
				if d := cmp.Diff([]string{"password", "refresh_token", "refresh_token"}, f.asked()); d != "" {
					t.Errorf("asked (-want +got):\n%s", d)
				}
			})
		})
	}
}

// ServiceNow gives out the same token again, with what is left of its life, until that is over.
func TestShrinkingLifeIsNotHammered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const life = 30 * time.Minute
		var begin time.Time
		f := fakeInstance{}
		f.token = func(n int, _ url.Values) fakeAnswer {
			if begin.IsZero() || time.Since(begin) >= life {
				begin = time.Now()
			}
			left := int((life - time.Since(begin)).Seconds())
			return fakeAnswer{body: tokenBody(fmt.Sprintf("access-%d", begin.Unix()), fmt.Sprint(left))}
		}
		f.api = func(_ int, r *http.Request, _ []byte) fakeAnswer {
			if r.Header.Get("Authorization") != fmt.Sprintf("Bearer access-%d", begin.Unix()) || time.Since(begin) >= life {
				return fakeAnswer{status: 401}
			}
			return fakeAnswer{body: `{"status":"success"}`}
		}
		c := newFakeClient(t, &f)
		for range int(2 * time.Hour / (500 * time.Millisecond)) {
			say(t, c)
			<-time.After(500 * time.Millisecond)
		}
		if n := len(f.asked()); n < 4 || n > 50 {
			t.Errorf("asked %d times for a token in two hours, want 4 to 50", n)
		}
	})
}

func TestLivesOfTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		expiresIn string
		uses      time.Duration // that the token is used without asking
		asksBy    time.Duration // when it has been asked for the next
	}{
		{"1799", 1738 * time.Second, 1740 * time.Second},
		{`"1799"`, 1738 * time.Second, 1740 * time.Second},
		{"3", 1900 * time.Millisecond, 2100 * time.Millisecond},
		{"0", 1900 * time.Millisecond, 2100 * time.Millisecond},
		{"-5", 1900 * time.Millisecond, 2100 * time.Millisecond},
		{"null", 239 * time.Second, 241 * time.Second},
		{"99999999999", 23 * time.Hour, 24 * time.Hour},
	} {
		t.Run(tt.expiresIn, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := fakeInstance{token: func(n int, _ url.Values) fakeAnswer {
					return fakeAnswer{body: tokenBody(fmt.Sprintf("access-%d", n), tt.expiresIn)}
				}}
				c := newFakeClient(t, &f)
				say(t, c)
				<-time.After(tt.uses)
				say(t, c)
				synctest.Wait()
				if n := len(f.asked()); n != 1 {
					t.Errorf("asked %d times after %v", n, tt.uses)
				}
				<-time.After(tt.asksBy - tt.uses)
				say(t, c)
				synctest.Wait()
				if n := len(f.asked()); n != 2 {
					t.Errorf("asked %d times after %v", n, tt.asksBy)
				}
			})
		})
	}
}

func TestOneRequestForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{delay: time.Second}
		c := newFakeClient(t, &f)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := c.Say(t.Context(), testChat, hello); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(f.asked()); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestWaitEndsWithTheCallerAndNotTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{delay: 3 * time.Second}
		c := newFakeClient(t, &f)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Say(ctx, testChat, hello)
		var e *snow.Error
		if !errors.As(err, &e) || e.Op != "token" || e.Written || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%#v, want a token error with the deadline", err)
		}
		say(t, c)
		if n := len(f.asked()); n != 1 {
			t.Errorf("asked %d times, want the request to have gone on", n)
		}
	})
}

func TestTokenTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{delay: time.Hour}
		c := newFakeClient(t, &f)
		began := time.Now()
		err := c.Say(t.Context(), testChat, hello)
		if took := time.Since(began); took != snow.DefaultTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A roundTripper is a func that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCloseEndsTheLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fakeInstance{delay: time.Hour}
		c := newFakeClient(t, &f, func(o *snow.ClientOptions) {
			o.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := f.RoundTrip(r)
				<-time.After(time.Second) // to tidy up
				return resp, err
			})}
		})
		result := make(chan error)
		go func() { result <- c.Say(t.Context(), testChat, hello) }()
		synctest.Wait()
		began := time.Now()
		c.Close()
		if took := time.Since(began); took != time.Second {
			t.Errorf("closing took %v, want as long as the request takes to end", took)
		}
		if err := <-result; err == nil {
			t.Error("said after the client was closed")
		}
		<-time.After(time.Minute)
		if err := c.Say(t.Context(), testChat, hello); err == nil {
			t.Error("said with a closed client")
		}
		if n := len(f.asked()); n != 0 {
			t.Errorf("%d tokens were given", n)
		}
	})
}

// A call that was refused late, under a token that is history, does not cost the others their new one.
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
