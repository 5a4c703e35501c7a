package snow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	text := http.Header{"Content-Type": {"text/plain"}}
	html := http.Header{"Content-Type": {"text/html"}}
	retry := func(v string) http.Header { return http.Header{"Retry-After": {v}} }
	words := func(c *snow.Client, ctx context.Context) error { return c.Say(ctx, testChat, hello) }
	ask := func(c *snow.Client, ctx context.Context) error {
		return c.RequestAgent(ctx, testChat, snow.AgentRequest{RequestID: "r-1", MessageID: "m-1"})
	}
	report := func(c *snow.Client, ctx context.Context) error {
		return c.Report(ctx, testChat, "r-1", []snow.Receipt{{MessageID: "m", Status: snow.SentToUser}})
	}
	for _, tt := range []struct {
		name       string
		answer     fakeAnswer
		do         func(*snow.Client, context.Context) error
		want       *snow.Error // nil means success; Op and Written are filled in
		notEnabled bool
	}{
		{"success", fakeAnswer{body: `{"status":"success"}`}, words, nil, false},
		{"success with a byte order mark", fakeAnswer{body: "\ufeff" + `{"status":"success"}`}, words, nil, false},
		{"JSON without status", fakeAnswer{body: `{}`}, words, nil, false},
		{"JSON of another kind", fakeAnswer{body: `[1]`}, words, nil, false},
		{"JSON with a status of another kind", fakeAnswer{body: `{"status":7}`}, words, nil, false},
		{"nothing", fakeAnswer{status: 204}, words, nil, false},
		{"failure under 200", fakeAnswer{body: `{"status":"failure","error":{"message":"` + testWords + `"}}`}, words, &snow.Error{StatusCode: 200, Refused: true}, false},
		{"failure in capitals", fakeAnswer{body: `{"status":"FAILURE"}`}, words, &snow.Error{StatusCode: 200, Refused: true}, false},
		{"failure in a result", fakeAnswer{body: `{"result":{"status":"failure"}}`}, words, &snow.Error{StatusCode: 200, Refused: true}, false},
		{"failure with a word for an error", fakeAnswer{status: 201, body: `{"status":"failure","error":"no"}`}, words, &snow.Error{StatusCode: 201, Refused: true}, false},
		{"failure to queue under 200", fakeAnswer{status: 200, body: `{"error":{"message":"Failed to add request to queue"}}`}, words, &snow.Error{StatusCode: 200, Refused: true}, false},
		{"failure to queue under 400", fakeAnswer{status: 400, body: `{"status":"failure","error":{"message":"x","detail":"Failed to add request to queue."}}`}, words, &snow.Error{StatusCode: 400, Refused: true}, false},
		{"nobody, in another place", fakeAnswer{status: 400, body: `{"status":"failure","message":"Failed to add request to queue"}`}, ask, &snow.Error{StatusCode: 400, Refused: true}, false},
		{"nobody, in a word", fakeAnswer{header: text, body: "Failed to add request to queue"}, ask, &snow.Error{StatusCode: 200, Refused: true}, false},
		{"nobody, in the words of the employee", fakeAnswer{body: `{"message":{"text":"Failed to add request to queue"},"body":[]}`}, ask, nil, false},
		{"page under 200", fakeAnswer{header: html, body: "<html>sleeping, " + testWords}, words, &snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"page that calls itself JSON", fakeAnswer{body: "<html>"}, words, &snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"text under 200", fakeAnswer{header: text, body: "Message Processed Successfully"}, words, &snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"half of the JSON", fakeAnswer{body: `{"status":"suc`}, words, &snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"302", fakeAnswer{status: 302, header: http.Header{"Location": {"https://evil.example/"}}}, words, &snow.Error{StatusCode: 302, NotJSON: true}, false},
		{"400", fakeAnswer{status: 400, body: `{"status":"failure","error":{"message":"` + testWords + `"}}`}, words, &snow.Error{StatusCode: 400}, false},
		{"401", fakeAnswer{status: 401, body: `{"error":{"message":"User Not Authenticated","detail":null},"status":"failure"}`}, words, &snow.Error{StatusCode: 401}, false},
		{"403", fakeAnswer{status: 403}, words, &snow.Error{StatusCode: 403}, false},
		{"404", fakeAnswer{status: 404}, words, &snow.Error{StatusCode: 404}, false},
		{"405", fakeAnswer{status: 405}, words, &snow.Error{StatusCode: 405}, false},
		{"406", fakeAnswer{status: 406}, words, &snow.Error{StatusCode: 406}, false},
		{"415", fakeAnswer{status: 415}, words, &snow.Error{StatusCode: 415}, false},
		{"429 with seconds", fakeAnswer{status: 429, header: retry("17")}, words, &snow.Error{StatusCode: 429, RetryAfter: 17 * time.Second}, false},
		{"429 with a date", fakeAnswer{status: 429, header: retry("Sun, 01 Mar 2026 12:01:00 GMT")}, words, &snow.Error{StatusCode: 429, RetryAfter: 59877 * time.Millisecond}, false},
		{"429 with a date in the past", fakeAnswer{status: 429, header: retry("Sun, 01 Mar 2020 12:01:00 GMT")}, words, &snow.Error{StatusCode: 429}, false},
		{"429 with a century", fakeAnswer{status: 429, header: retry("9223372036854775807")}, words, &snow.Error{StatusCode: 429, RetryAfter: 24 * time.Hour}, false},
		{"429 with less than nothing", fakeAnswer{status: 429, header: retry("-1")}, words, &snow.Error{StatusCode: 429}, false},
		{"429 with nonsense", fakeAnswer{status: 429, header: retry("soon")}, words, &snow.Error{StatusCode: 429}, false},
		{"429 with a reset", fakeAnswer{status: 429, header: http.Header{"X-Ratelimit-Reset": {"1772366410"}}}, words, &snow.Error{StatusCode: 429, RetryAfter: 9877 * time.Millisecond}, false},
		{"500", fakeAnswer{status: 500, body: testWords}, words, &snow.Error{StatusCode: 500}, false},
		{"502 with a page", fakeAnswer{status: 502, header: html, body: "<html>" + testWords}, words, &snow.Error{StatusCode: 502}, false},
		{"503", fakeAnswer{status: 503, header: retry("5")}, words, &snow.Error{StatusCode: 503, RetryAfter: 5 * time.Second}, false},
		{"504", fakeAnswer{status: 504}, words, &snow.Error{StatusCode: 504}, false},
		{"too long", fakeAnswer{body: `{"a":"` + strings.Repeat("x", 1<<20) + `"}`}, words, &snow.Error{}, false},
		{"too long and refused", fakeAnswer{status: 500, body: strings.Repeat("x", 1<<21)}, words, &snow.Error{StatusCode: 500}, false},

		{"report as documented", fakeAnswer{header: text, body: "Message Processed Successfully"}, report, nil, false},
		{"report with JSON", fakeAnswer{body: `{"status":"success"}`}, report, nil, false},
		{"report with a JSON string", fakeAnswer{body: `"Message Processed Successfully"`}, report, nil, false},
		{"report with a page", fakeAnswer{header: html, body: "<html>not enabled"}, report, &snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"report off, as text", fakeAnswer{header: text, body: "Feature is not enabled"}, report, &snow.Error{StatusCode: 200, Refused: true}, true},
		{"report off, as a string", fakeAnswer{body: `"third_party_chat is false"`}, report, &snow.Error{StatusCode: 200, Refused: true}, true},
		{"report off, as JSON", fakeAnswer{body: `{"status":"failure","error":{"message":"Unsupported","detail":"x"}}`}, report, &snow.Error{StatusCode: 200, Refused: true}, true},
		{"report off, with 400", fakeAnswer{status: 400, body: `{"status":"failure","error":{"message":"Invalid action"}}`}, report, &snow.Error{StatusCode: 400}, true},
		{"report off, with 405", fakeAnswer{status: 405}, report, &snow.Error{StatusCode: 405}, true},
		{"report refused for another reason", fakeAnswer{body: `{"status":"failure","error":{"message":"no such message"}}`}, report, &snow.Error{StatusCode: 200, Refused: true}, false},
		{"report while the instance is down", fakeAnswer{status: 503, body: "service is not available"}, report, &snow.Error{StatusCode: 503}, false},
		{"words are never not enabled", fakeAnswer{body: `{"status":"failure","error":{"message":"not enabled"}}`}, words, &snow.Error{StatusCode: 200, Refused: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakeInstance{api: func(int, *http.Request, []byte) fakeAnswer { return tt.answer }}
			c := newFakeClient(t, &f, atNoon)
			err := tt.do(c, t.Context())
			if tt.want == nil {
				if err != nil {
					t.Fatalf("error %v, want success", err)
				}
				return
			}
			var got *snow.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want %+v", err, tt.want)
			}
			tt.want.Written = true
			if d := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(snow.Error{}, "Op", "Err")); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
			if errors.Is(err, snow.ErrNotEnabled) != tt.notEnabled {
				t.Errorf("%v: not enabled: %v, want %v", err, !tt.notEnabled, tt.notEnabled)
			}
			noSecrets(t, fmt.Sprintf("%v %+v", err, *got))
		})
	}
}

func TestSynchronousReplyIsHandedOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"event", `{"body":[{"uiType":"OutputText","value":"Hi"}]}`, "a:conv-17#1: Hi"},
		{"event with a session", `{"clientSessionId":"other","body":[{"uiType":"OutputText","value":"Hi"}]}`, "other: Hi"},
		{"event in a result", `{"result":{"body":[]}}`, "a:conv-17#1:"},
		{"acknowledgement", `{"status":"success"}`, ""},
		{"a body of another kind", `{"body":"x"}`, ""},
		{"failure", `{"status":"failure","body":[]}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakeInstance{api: func(int, *http.Request, []byte) fakeAnswer { return fakeAnswer{body: tt.body} }}
			var got string
			c := newFakeClient(t, &f, func(o *snow.ClientOptions) {
				o.Accept = func(_ context.Context, e *snow.Event) error {
					got += e.SessionID + ":"
					for _, it := range e.Items {
						got += " " + it.Text
					}
					return errors.New("what becomes of it is not the request's")
				}
			})
			if err := c.Say(t.Context(), testChat, hello); (err != nil) != (tt.name == "failure") {
				t.Error(err)
			}
			if got != tt.want {
				t.Errorf("handed on %q, want %q", got, tt.want)
			}
		})
	}
}

// serve returns a client of a real server that gives out tokens and leaves the rest to api.
func serve(t *testing.T, api http.HandlerFunc, change ...func(*snow.ClientOptions)) *snow.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth_token.do" {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, tokenBody("access-1", "1799")) //nolint:errcheck // the client notices
			return
		}
		api(w, r)
	}))
	t.Cleanup(s.Close)
	o := options()
	o.Instance = s.URL
	return newCheckedClient(t, o, change...)
}

// hijack ends the exchange after writing what is given.
func hijack(t *testing.T, w http.ResponseWriter, write string, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	io.WriteString(conn, write) //nolint:errcheck // the client notices
	if reset {
		conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck // no reset then, and the test says so
	}
	conn.Close()
}

func TestExchangeThatBreaks(t *testing.T) {
	t.Parallel()
	readAll := func(r *http.Request) { io.Copy(io.Discard, r.Body) } //nolint:errcheck // the client notices
	for _, tt := range []struct {
		name string
		api  func(*testing.T, http.ResponseWriter, *http.Request)
		want error
	}{
		{"reset after the request", func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			readAll(r)
			hijack(t, w, "", true)
		}, syscall.ECONNRESET},
		{"closed after the request", func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			readAll(r)
			hijack(t, w, "", false)
		}, io.EOF},
		{"closed within the answer", func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			readAll(r)
			hijack(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", false)
		}, io.ErrUnexpectedEOF},
		{"no HTTP", func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			readAll(r)
			hijack(t, w, testWords+" "+testSecret+"\r\n\r\n", false)
		}, nil},
		{"no answer", func(_ *testing.T, _ http.ResponseWriter, r *http.Request) {
			readAll(r)
			<-r.Context().Done()
		}, context.DeadlineExceeded},
		{"answer that never ends", func(_ *testing.T, w http.ResponseWriter, r *http.Request) {
			readAll(r)
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) { tt.api(t, w, r) }, func(o *snow.ClientOptions) {
				o.Timeout = 2 * time.Second
			})
			err := c.Say(t.Context(), testChat, hello)
			var e *snow.Error
			if !errors.As(err, &e) || e.Op != "message" || e.StatusCode != 0 || !e.Written {
				t.Fatalf("%#v, want a written message without an answer", err)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			noSecrets(t, err.Error())
		})
	}
}

func TestCallerThatGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the client notices
		cancel()
		<-r.Context().Done()
	})
	err := c.Say(ctx, testChat, hello)
	var e *snow.Error
	if !errors.As(err, &e) || !e.Written || !errors.Is(err, context.Canceled) {
		t.Errorf("%#v, want a written message and the end of the context", err)
	}
}

// A connection that fails before the request is out proves that nothing has happened.
func TestNothingWritten(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		dial func(context.Context) (net.Conn, error)
		want error
	}{
		{"refused", func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:1")
		}, syscall.ECONNREFUSED},
		{"connecting takes too long", func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var down bool // set before the second connection is made
			c := serve(t, func(w http.ResponseWriter, r *http.Request) { hijack(t, w, "", false) }, func(o *snow.ClientOptions) {
				o.Timeout = 2 * time.Second
				o.HTTP = &http.Client{Transport: &http.Transport{
					DisableKeepAlives: true,
					DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
						if down {
							return tt.dial(ctx)
						}
						down = true
						return new(net.Dialer).DialContext(ctx, network, addr)
					},
				}}
			})
			err := c.Say(t.Context(), testChat, hello)
			var e *snow.Error
			if !errors.As(err, &e) || e.Op != "message" || e.Written || !errors.Is(err, tt.want) {
				t.Errorf("%#v, want a message not written and %v", err, tt.want)
			}
		})
	}
}

// A brokenConn takes nothing any more once it is broken.
type brokenConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c brokenConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return c.Conn.Write(p)
}

// The transport repeats a request of which nothing went out, on a new connection. When there is none, nothing was written.
func TestNothingWrittenOnAnIdleConnection(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{}`) //nolint:errcheck // the client notices
	}, func(o *snow.ClientOptions) {
		o.HTTP = &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if broken.Load() {
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
				}
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				return brokenConn{conn, &broken}, err
			},
		}}
	})
	say(t, c)
	broken.Store(true)
	err := c.Say(t.Context(), testChat, hello)
	var e *snow.Error
	if !errors.As(err, &e) || e.Written || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%#v, want a message not written", err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s came with %q", r.Method, r.URL, r.Header)
	}))
	defer elsewhere.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	for _, err := range []error{c.Say(t.Context(), testChat, hello), c.Ping(t.Context())} {
		var e *snow.Error
		if !errors.As(err, &e) || e.StatusCode != http.StatusTemporaryRedirect || !e.NotJSON {
			t.Errorf("%v, want status 307 and no JSON", err)
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen[r.RemoteAddr] = true
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"status":"success"}`) //nolint:errcheck // the client notices
	})
	for range 10 {
		say(t, c)
	}
	if len(seen) != 1 {
		t.Errorf("%d connections for ten messages in a row", len(seen))
	}
}
