package adapter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/adapter"
)

// A tokenEndpoint hands out the tokens 1, 2, 3 and so on, after a while.
type tokenEndpoint struct {
	life   int // seconds
	delay  time.Duration
	status int // 200 when 0
	header http.Header
	asked  atomic.Int32
	log    bytes.Buffer
}

func (e *tokenEndpoint) source(t *testing.T) adapter.TokenSource {
	t.Helper()
	s, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: "app", TenantID: "t", Password: "p", Log: slog.New(slog.NewTextHandler(&e.log, nil)),
		HTTP: &http.Client{Transport: endpointFunc(func(r *http.Request) (int, string, http.Header) {
			n := e.asked.Add(1)
			if e.delay > 0 {
				timer := time.NewTimer(e.delay)
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-r.Context().Done():
					return 504, "", nil
				}
			}
			if e.status != 0 {
				return e.status, "token words", e.header
			}
			return 200, granted(strconv.Itoa(int(n)), e.life), nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// want checks the next token and how often the endpoint has been asked once all is quiet.
func (e *tokenEndpoint) want(t *testing.T, s adapter.TokenSource, token string, asked int32) {
	t.Helper()
	got, err := s.Token(t.Context())
	if err != nil || got != token {
		t.Errorf("Token() = %q, %v, want %q", got, err, token)
	}
	synctest.Wait()
	if n := e.asked.Load(); n != asked {
		t.Errorf("the endpoint was asked %d times, want %d", n, asked)
	}
}

func TestTokenIsShared(t *testing.T) {
	t.Parallel()
	t.Run("by all who ask at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{life: 3600, delay: time.Second}
			s := e.source(t)
			var group sync.WaitGroup
			for range 100 {
				group.Go(func() {
					if got, err := s.Token(t.Context()); err != nil || got != "1" {
						t.Errorf("Token() = %q, %v", got, err)
					}
				})
			}
			group.Wait()
			e.want(t, s, "1", 1)
		})
	})
	t.Run("and its request outlives the caller who caused it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{life: 3600, delay: time.Second}
			s := e.source(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, err := s.Token(ctx)
			var typed *adapter.Error
			if !errors.As(err, &typed) || !errors.Is(err, context.DeadlineExceeded) || typed.Op != "token" || typed.Written {
				t.Errorf("Token() error = %v", err)
			}
			e.want(t, s, "1", 1)
		})
	})
	t.Run("and a request that hangs ends within ten seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{delay: time.Hour}
			begin := time.Now()
			if _, err := e.source(t).Token(t.Context()); err == nil || time.Since(begin) > 10*time.Second {
				t.Errorf("Token() error = %v after %v", err, time.Since(begin))
			}
		})
	})
}

// A mistake of ours in a request must neither end the process nor leave those who wait.
func TestARequestForATokenThatPanicsHasFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		broken := true
		s, err := adapter.NewTokenSource(adapter.Credentials{
			AppID: "app", TenantID: "t", Password: "p", Log: slog.New(slog.NewTextHandler(&log, nil)),
			HTTP: &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) {
				if broken {
					panic("a secret")
				}
				return 200, granted("1", 3600), nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		var typed *adapter.Error
		if _, err := s.Token(t.Context()); !errors.As(err, &typed) || typed.Op != "token" || typed.Written {
			t.Errorf("Token() error = %v", err)
		}
		if got := log.String(); !strings.Contains(got, "unforeseen") || strings.Contains(got, "a secret") {
			t.Errorf("logged %q, want that it happened, and not the panic's value", got)
		}
		broken = false
		elapse(time.Minute)
		if got, err := s.Token(t.Context()); err != nil || got != "1" {
			t.Errorf("Token() a minute later = %q, %v", got, err)
		}
	})
}

func TestTokenIsRefreshed(t *testing.T) {
	t.Parallel()
	t.Run("five minutes early, in the background", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{life: 3600, delay: time.Second}
			s := e.source(t)
			e.want(t, s, "1", 1)
			elapse(55*time.Minute - time.Second)
			e.want(t, s, "1", 1)
			elapse(time.Second)
			for range 10 {
				e.want(t, s, "1", 2)
			}
			elapse(time.Second)
			e.want(t, s, "2", 2)
		})
	})
	t.Run("not before half its life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{life: 100}
			s := e.source(t)
			e.want(t, s, "1", 1)
			elapse(49 * time.Second)
			e.want(t, s, "1", 1)
			elapse(time.Second)
			e.want(t, s, "1", 2)
			e.want(t, s, "2", 2)
		})
	})
	t.Run("and while that fails the old one serves until it ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{life: 3600}
			s := e.source(t)
			e.want(t, s, "1", 1)
			e.status = 500
			elapse(55 * time.Minute)
			e.want(t, s, "1", 2)
			e.want(t, s, "1", 2) // the endpoint is left alone for a while
			elapse(250 * time.Millisecond)
			e.want(t, s, "1", 3)
			elapse(4*time.Minute + 29*time.Second)
			e.want(t, s, "1", 4)
			elapse(time.Second)
			if token, err := s.Token(t.Context()); err == nil {
				t.Errorf("Token() = %q after its end", token)
			}
			synctest.Wait()
			if s := e.log.String(); !strings.Contains(s, "status 500") || strings.Contains(s, "words") {
				t.Errorf("logged: %s", s)
			}
		})
	})
}

// Entra, App Service and the metadata service say in ways of their own how long a token lives.
func TestTokenLives(t *testing.T) {
	t.Parallel()
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of a synctest bubble
	for name, tt := range map[string]struct {
		says string
		want time.Duration // until another one is needed, less what a request takes
	}{
		"a number":                        {`"expires_in":3600`, time.Hour - 30*time.Second},
		"a number as text":                {`"expires_in":"3600"`, time.Hour - 30*time.Second},
		"an end":                          {fmt.Sprintf(`"expires_on":%d`, start.Add(time.Hour).Unix()), time.Hour - 30*time.Second},
		"an end as text":                  {fmt.Sprintf(`"expires_on":"%d"`, start.Add(time.Hour).Unix()), time.Hour - 30*time.Second},
		"both, of which the first counts": {fmt.Sprintf(`"expires_in":100,"expires_on":%d`, start.Add(time.Hour).Unix()), 90 * time.Second},
		"nothing":                         {`"x":1`, 10*time.Minute - 30*time.Second},
		"no number":                       {`"expires_in":"soon"`, 10*time.Minute - 30*time.Second},
		"no time at all":                  {`"expires_in":0`, 4500 * time.Millisecond},
		"less than none":                  {`"expires_in":-5`, 4500 * time.Millisecond},
		"for ever":                        {`"expires_in":1e300`, 7*24*time.Hour - 30*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				s, err := adapter.NewTokenSource(adapter.Credentials{
					AppID: "app", TenantID: "t", Password: "p",
					HTTP: &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) {
						if asked++; asked > 1 {
							return 500, "", nil
						}
						return 200, `{"access_token":"1",` + tt.says + `}`, nil
					})},
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range []time.Duration{0, tt.want - time.Millisecond} {
					elapse(step)
					if _, err := s.Token(t.Context()); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
					synctest.Wait()
				}
				elapse(time.Millisecond)
				if _, err := s.Token(t.Context()); err == nil {
					t.Errorf("the token still serves after %v", time.Since(start))
				}
				synctest.Wait()
			})
		})
	}
}

func TestTokenEndpointIsNotHammered(t *testing.T) {
	t.Parallel()
	t.Run("when it fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{life: 3600, status: 503}
			s := e.source(t)
			begin := time.Now()
			for time.Since(begin) < 10*time.Minute {
				_, err := s.Token(t.Context())
				var typed *adapter.Error
				if !errors.As(err, &typed) || typed.StatusCode != http.StatusServiceUnavailable {
					t.Fatalf("Token() error = %v", err)
				}
				elapse(10 * time.Millisecond)
			}
			if n := e.asked.Load(); n < 20 || n > 30 {
				t.Errorf("asked %d times in ten minutes", n)
			}
			e.status = 0
			elapse(30 * time.Second)
			if _, err := s.Token(t.Context()); err != nil {
				t.Errorf("Token() error = %v after the outage", err)
			}
		})
	})
	t.Run("when it says for how long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &tokenEndpoint{status: 429, header: http.Header{"Retry-After": {"60"}}}
			s, begin := e.source(t), time.Now()
			for _, left := range []time.Duration{time.Minute, time.Minute, 50 * time.Second} {
				elapse(time.Until(begin.Add(time.Minute - left)))
				_, err := s.Token(t.Context())
				var typed *adapter.Error
				if !errors.As(err, &typed) || typed.RetryAfter != left {
					t.Errorf("Token() error = %v, want one to wait %v for", err, left)
				}
			}
			if n := e.asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &tokenEndpoint{life: 3600}
		s := e.source(t)
		e.want(t, s, "1", 1)
		s.Forget("another")
		s.Forget("")
		e.want(t, s, "1", 1)
		s.Forget("1")
		e.want(t, s, "2", 2)
		s.Forget("1") // by a caller who is late
		e.want(t, s, "2", 2)
		s.Forget("2") // refused as soon as it was fetched: the next will be, too
		e.want(t, s, "2", 2)
		elapse(10 * time.Second)
		s.Forget("2")
		e.want(t, s, "3", 3)
	})
}

// elapse lets the bubble's clock go on, and all that is due then happen.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
