package snow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
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

// A mistake of ours in a request for a token must neither end the process nor leave those who wait.
func TestALoginThatPanicsHasFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f fakeInstance
		var log bytes.Buffer
		broken := true
		c := newFakeClient(t, &f, func(o *snow.ClientOptions) {
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			o.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if broken {
					panic("a secret")
				}
				return f.RoundTrip(r)
			})}
		})
		var typed *snow.Error
		if err := c.Say(t.Context(), testChat, hello); !errors.As(err, &typed) || typed.Op != "token" || typed.Written {
			t.Errorf("said with %v, want an error of the token", err)
		}
		if got := log.String(); !strings.Contains(got, "unforeseen") || strings.Contains(got, "a secret") {
			t.Errorf("logged %q, want that it happened, and not the panic's value", got)
		}
		broken = false
		<-time.After(time.Minute)
		if err := c.Say(t.Context(), testChat, hello); err != nil {
			t.Errorf("said a minute later with %v", err)
		}
	})
}

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
