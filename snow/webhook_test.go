package snow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/cmd/leaktest"
	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
)

const secret = "correct horse battery staple"

func accept(context.Context, *snow.Event) error { return nil }

// newWebhook fills in what o leaves open.
func newWebhook(tb testing.TB, o snow.WebhookOptions) http.Handler {
	tb.Helper()
	if o.Secrets == nil {
		o.Secrets = []string{secret}
	}
	if o.Accept == nil {
		o.Accept = accept
	}
	watch := leaktest.New(tb)
	watch.Secret(append(o.Secrets, "my words", "their-token")...)
	if o.Log == nil {
		o.Log = watch.Log()
	}
	h, err := snow.NewWebhook(o)
	if err != nil {
		tb.Fatalf("NewWebhook: %v", err)
	}
	return h
}

// post hands h one request with the secret, changed by edit.
func post(h http.Handler, body string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/api/v1/snowBot/receiveMessage", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// failure is the code in a refusal.
func failure(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Status string
		Error  struct{ Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Status != "failure" {
		t.Fatalf("body %q is no failure: %v", w.Body, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	return body.Error.Message
}

func TestNewWebhookRefuses(t *testing.T) {
	t.Parallel()
	good := []string{secret}
	for _, tt := range []struct {
		name string
		o    snow.WebhookOptions
		want string
	}{
		{"no secret", snow.WebhookOptions{Accept: accept}, "no secret"},
		{"an empty secret", snow.WebhookOptions{Accept: accept, Secrets: []string{secret, ""}}, "secret 2 is empty"},
		{"a blank secret", snow.WebhookOptions{Accept: accept, Secrets: []string{" \t"}}, "secret 1 is empty"},
		{"a secret with a line end", snow.WebhookOptions{Accept: accept, Secrets: []string{"abc\n"}}, "cannot be sent"},
		{"a secret with a control character", snow.WebhookOptions{Accept: accept, Secrets: []string{"a\x00c"}}, "cannot be sent"},
		{"nobody to accept", snow.WebhookOptions{Secrets: good}, "accepts"},
		{"a user with a colon", snow.WebhookOptions{Accept: accept, Secrets: good, BasicUser: "a:b"}, "colon"},
		{"no name of a header", snow.WebhookOptions{Accept: accept, Secrets: good, Header: "X Y"}, "header"},
		{"a negative time-out", snow.WebhookOptions{Accept: accept, Secrets: good, ReadTimeout: -1}, "time-out"},
		{"a negative limit", snow.WebhookOptions{Accept: accept, Secrets: good, MaxBody: -1}, "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, err := snow.NewWebhook(tt.o)
			if err == nil || h != nil {
				t.Fatalf("NewWebhook = %v, %v, want an error", h, err)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "abc") {
				t.Errorf("error %q, want it to say %q and nothing of a secret", err, tt.want)
			}
		})
	}
}

func TestWebhookAuthentication(t *testing.T) {
	t.Parallel()
	const next = "next-secret"
	plain := snow.WebhookOptions{Secrets: []string{secret, next}}
	all := snow.WebhookOptions{Secrets: []string{secret, next}, BasicUser: "servicenow", Header: "X-Snowbot-Secret"}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set(name, value)
		}
	}
	for _, tt := range []struct {
		name string
		o    snow.WebhookOptions
		edit func(*http.Request)
		want int
	}{
		{"bearer", plain, header("Authorization", "Bearer "+secret), 200},
		{"bearer with the next secret", plain, header("Authorization", "Bearer "+next), 200},
		{"bearer in lower case", plain, header("Authorization", "bearer "+secret), 200},
		{"bearer in upper case, more blanks", plain, header("Authorization", "BEARER   "+secret+" "), 200},
		{"basic", all, basic("servicenow", secret), 200},
		{"basic with the next secret", all, basic("servicenow", next), 200},
		{"header", all, header("X-Snowbot-Secret", secret), 200},
		{"header with the next secret", all, header("x-snowbot-secret", next), 200},
		{"header after bearer", all, header("X-Snowbot-Secret", "bearer "+next), 200},
		{"header right, bearer wrong", all, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer wrong")
			r.Header.Set("X-Snowbot-Secret", secret)
		}, 200},
		{"bearer right, header wrong", all, func(r *http.Request) { r.Header.Set("X-Snowbot-Secret", "wrong") }, 200},
		{"header named Authorization", snow.WebhookOptions{Header: "Authorization"}, header("Authorization", secret), 200},

		{"nothing", all, header("Authorization", ""), 401},
		{"bearer and nothing", all, header("Authorization", "Bearer "), 401},
		{"no blank after bearer", all, header("Authorization", "Bearer"+secret), 401},
		{"no scheme", plain, header("Authorization", secret), 401},
		{"other scheme", all, header("Authorization", "Token "+secret), 401},
		{"start of the secret", all, header("Authorization", "Bearer "+secret[:len(secret)-1]), 401},
		{"secret and more", all, header("Authorization", "Bearer "+secret+"x"), 401},
		{"secret in another case", all, header("Authorization", "Bearer "+strings.ToUpper(secret)), 401},
		{"both secrets", all, header("Authorization", "Bearer "+secret+","+next), 401},
		{"old secret after the rotation", snow.WebhookOptions{Secrets: []string{next}}, header("Authorization", "Bearer "+secret), 401},
		{"basic is off", plain, basic("servicenow", secret), 401},
		{"basic without a user is off", plain, basic("", secret), 401},
		{"basic with another user", all, basic("admin", secret), 401},
		{"basic with the user as password", all, basic("servicenow", "servicenow"), 401},
		{"basic without password", all, basic("servicenow", ""), 401},
		{"basic that is no base64", all, header("Authorization", "Basic ***"), 401},
		{"header is off", plain, header("X-Snowbot-Secret", secret), 401},
		{"empty header", all, header("X-Snowbot-Secret", ""), 401},
		{"secret in the query", all, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "secret=" + secret
		}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var accepted atomic.Bool
			tt.o.Accept = func(context.Context, *snow.Event) error { accepted.Store(true); return nil }
			w := post(newWebhook(t, tt.o), `{}`, tt.edit)
			if w.Code != tt.want || accepted.Load() != (tt.want == 200) {
				t.Fatalf("status %d, accepted %v, want %d", w.Code, accepted.Load(), tt.want)
			}
			if tt.want == 200 {
				if got := w.Body.String(); got != `{"status":"success"}` {
					t.Errorf("body = %s", got)
				}
				return
			}
			if got := failure(t, w); got != "unauthorized" {
				t.Errorf("code = %q", got)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate = %q", got)
			}
			if got := w.Header().Get("Connection"); got != "close" {
				t.Errorf("Connection = %q, want close: the body was not read", got)
			}
		})
	}
}

func TestWebhookReadsNoByteBeforeTheSecret(t *testing.T) {
	t.Parallel()
	h := newWebhook(t, snow.WebhookOptions{})
	var read atomic.Int64
	body := readerFunc(func(p []byte) (int, error) { read.Add(1); return len(p), nil })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || read.Load() != 0 {
		t.Errorf("status %d after %d reads, want 401 after none", w.Code, read.Load())
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestWebhookSlowsGuessersDownAndNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t, snow.WebhookOptions{})
		wrong := func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		for n := range 20 {
			d := took(func() {
				if w := post(h, `{}`, wrong); w.Code != http.StatusUnauthorized {
					t.Errorf("failure %d: status %d", n, w.Code)
				}
			})
			if late := d > 0; late != (n >= 5) || d > time.Second {
				t.Errorf("failure %d took %v", n, d)
			}
		}
		// A thousand at once: some wait, the rest are answered, and the right secret is served meanwhile.
		var all sync.WaitGroup
		var atOnce atomic.Int64
		for range 1000 {
			all.Go(func() {
				if took(func() { post(h, `{}`, wrong) }) == 0 {
					atOnce.Add(1)
				}
			})
		}
		synctest.Wait()
		if d := took(func() {
			if w := post(h, `{}`, nil); w.Code != http.StatusOK {
				t.Errorf("the right secret: status %d", w.Code)
			}
		}); d != 0 {
			t.Errorf("the right secret took %v", d)
		}
		all.Wait()
		if n := atOnce.Load(); n < 900 || n == 1000 {
			t.Errorf("%d of 1000 were answered at once", n)
		}
		if d := took(func() { post(h, `{}`, wrong) }); d == 0 {
			t.Error("when those who waited are gone, the next does not wait")
		}
		// A guesser who hangs up is not waited for.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := took(func() { post(h, `{}`, func(r *http.Request) { wrong(r); *r = *r.WithContext(ctx) }) }); d != 0 {
			t.Errorf("one who hung up took %v", d)
		}
		<-time.After(2 * time.Minute)
		if d := took(func() { post(h, `{}`, wrong) }); d != 0 {
			t.Errorf("the first failure of another minute took %v", d)
		}
	})
}

func TestWebhookMethods(t *testing.T) {
	t.Parallel()
	h := newWebhook(t, snow.WebhookOptions{Accept: func(context.Context, *snow.Event) error {
		t.Error("accepted")
		return nil
	}})
	for _, m := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post"} {
		t.Run(m, func(t *testing.T) {
			t.Parallel()
			w := post(h, `{}`, func(r *http.Request) { r.Method = m })
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
				t.Errorf("status %d, Allow %q", w.Code, w.Header().Get("Allow"))
			}
		})
	}
}

func TestWebhookContent(t *testing.T) {
	t.Parallel()
	typed := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, tt := range []struct {
		name, body string
		edit       func(*http.Request)
		want       int
	}{
		{"JSON", `{"body":[]}`, typed("Content-Type", "application/json"), 200},
		{"octets", `{"body":[]}`, typed("Content-Type", "application/octet-stream"), 200},
		{"form type", `{"body":[]}`, typed("Content-Type", "application/x-www-form-urlencoded"), 200},
		{"a type that is none", `{"body":[]}`, typed("Content-Type", ";;;"), 200},
		{"empty object", `{}`, nil, 200},
		{"byte order mark", "\ufeff{}", nil, 200},
		{"unknown content", `{"x":{"y":[1]},"body":[{"uiType":"Odd"}]}`, nil, 200},
		{"repeated keys", `{"clientSessionId":"a","clientSessionId":"b"}`, nil, 200},
		{"identity", `{}`, typed("Content-Encoding", "identity"), 200},
		{"gzip", "\x1f\x8b", typed("Content-Encoding", "gzip"), 415},
		{"nothing", ``, nil, 400},
		{"null", `null`, nil, 400},
		{"array", `[]`, nil, 400},
		{"NULs", "\x00\x00\x00\x00", nil, 400},
		{"UTF-16", "\xff\xfe{\x00}\x00", nil, 400},
		{"a million brackets", strings.Repeat("[", 1_000_000), nil, 400},
		{"a million brackets in body", `{"body":` + strings.Repeat("[", 1_000_000), nil, 400},
		{"a million brackets in text", `{"body":"` + strings.Repeat("[", 1_000_000) + `"}`, nil, 200},
		{"as large as allowed", `{"x":"` + strings.Repeat("x", 1<<20-8) + `"}`, nil, 200},
		{"a byte larger", `{"x":"` + strings.Repeat("x", 1<<20-7) + `"}`, nil, 413},
		{"larger, length unknown", strings.Repeat("x", 10<<20), func(r *http.Request) { r.ContentLength = -1 }, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := post(newWebhook(t, snow.WebhookOptions{}), tt.body, tt.edit)
			if w.Code != tt.want {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.want, w.Body)
			}
			if tt.want != 200 {
				failure(t, w)
			}
		})
	}
}

func TestWebhookAnswersWhatAcceptSays(t *testing.T) {
	t.Parallel()
	const body = `{"clientSessionId":"ses-1","requestId":"req-1","clientVariables":{"conversationId":"a:17"},
		"message":{"attachment":{"headers":{"Authorization":"Bearer their-token"}}},"body":[{"uiType":"OutputText","value":"my words"}]}`
	for _, tt := range []struct {
		name   string
		accept func(context.Context, *snow.Event) error
		want   int
		code   string
	}{
		{"done", accept, 200, ""},
		{"unknown session", func(context.Context, *snow.Event) error { return snow.ErrUnknownSession }, 400, "unknown session"},
		{"unknown session, wrapped", func(context.Context, *snow.Event) error {
			return fmt.Errorf("find: %w", snow.ErrUnknownSession)
		}, 400, "unknown session"},
		{"mismatch", func(context.Context, *snow.Event) error { return fmt.Errorf("tenant: %w", snow.ErrMismatch) }, 400, "session mismatch"},
		{"any other error", func(context.Context, *snow.Event) error { return errors.New("disk full at /var/lib") }, 503, "unavailable"},
		{"out of time", func(context.Context, *snow.Event) error { return context.DeadlineExceeded }, 503, "unavailable"},
		{"panic with words", func(_ context.Context, e *snow.Event) error { panic(e.Items[0].Text) }, 503, "unavailable"},
		{"panic of the runtime", func(_ context.Context, e *snow.Event) error { _ = e.Items[7]; return nil }, 503, "unavailable"},
		{"abort", func(context.Context, *snow.Event) error { panic(http.ErrAbortHandler) }, 503, "unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			h := newWebhook(t, snow.WebhookOptions{Accept: tt.accept, Log: slog.New(slog.NewTextHandler(&logged, nil))})
			w := post(h, body, nil)
			if w.Code != tt.want {
				t.Fatalf("status %d, want %d", w.Code, tt.want)
			}
			if tt.want != 200 {
				if got := failure(t, w); got != tt.code {
					t.Errorf("code = %q, want %q", got, tt.code)
				}
				if !strings.Contains(logged.String(), "session=ses-1") {
					t.Errorf("log does not name the session: %s", &logged)
				}
			}
			if after := w.Header().Get("Retry-After"); (after != "") != (tt.want == 503) {
				t.Errorf("Retry-After = %q", after)
			}
			if strings.HasPrefix(tt.name, "panic") && !strings.Contains(logged.String(), "webhook_test.go") {
				t.Errorf("log has no stack: %s", &logged)
			}
			for _, words := range []string{"my words", "their-token", secret} {
				if strings.Contains(logged.String(), words) || strings.Contains(w.Body.String(), words) {
					t.Errorf("%q in the log or the answer", words)
				}
			}
		})
	}
}

func TestWebhookHandsOverTheWholeEvent(t *testing.T) {
	t.Parallel()
	var got *snow.Event
	h := newWebhook(t, snow.WebhookOptions{Accept: func(ctx context.Context, e *snow.Event) error {
		got = e
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the commit has no limit")
		}
		return ctx.Err() // ServiceNow has hung up already, and will not repeat the post
	}})
	const body = `{"clientSessionId":"ses-1","status":"waiting","body":[]}`
	w := post(h, body, func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	want := &snow.Event{SessionID: "ses-1", Status: snow.StatusWaiting, Raw: []byte(body)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestWebhookLogsFewOfManyFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		h := newWebhook(t, snow.WebhookOptions{Log: slog.New(slog.NewTextHandler(&logged, nil))})
		wrong := func(r *http.Request) { r.Header.Set("Authorization", "Bearer guessed-value") }
		for range 100 {
			post(h, `{}`, wrong)
		}
		if n := strings.Count(logged.String(), "\n"); n != 5 {
			t.Errorf("%d lines for 100 failures in a minute, want 5", n)
		}
		<-time.After(time.Minute)
		post(h, `{}`, wrong)
		if !strings.Contains(logged.String(), "unlogged=95") || strings.Contains(logged.String(), "guessed-value") {
			t.Errorf("log = %s", &logged)
		}
	})
}
