package adapter_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter"
)

const (
	teamsPicture = "https://smba.trafficmanager.net/emea/v3/attachments/0-a/views/original"
	sharePoint   = "https://contoso-my.sharepoint.com/personal/a.docx?tempauth=1"
	pngBytes     = "\x89PNG\r\n\x1a\n1234"
	oleBytes     = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..."
)

// A web answers as the hosts of the world would, by address, and remembers who was asked with which token.
type web struct {
	pages map[string]http.HandlerFunc

	mu    sync.Mutex
	asked []string
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	line := r.URL.String()
	if token := r.Header.Get("Authorization"); token != "" {
		line += " " + token
	}
	if r.Method != http.MethodGet || r.Header.Get("Referer") != "" || r.Header.Get("Cookie") != "" {
		line += " and too much"
	}
	w.asked = append(w.asked, line)
	w.mu.Unlock()
	h, ok := w.pages[r.URL.String()]
	if !ok {
		h = http.NotFound
	}
	rec := httptest.NewRecorder()
	h(rec, r)
	return rec.Result(), nil
}

func (w *web) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.asked...)
}

// on returns a Connector to w, under the policy of production.
func (w *web) on(tb testing.TB, t adapter.TokenSource) *adapter.Connector {
	tb.Helper()
	c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: t, HTTP: &http.Client{Transport: w}})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func file(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{contentType}
		_, _ = io.WriteString(w, body)
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

func TestFetchFileTypes(t *testing.T) {
	t.Parallel()
	const word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	const zip = "PK\x03\x04..."
	for _, tt := range []struct{ name, answered, body, want string }{
		{"a.pdf", "Application/PDF; charset=x", "%PDF-1.7", "application/pdf"},
		{"a.pdf", "application/octet-stream", "%PDF-1.7", "application/pdf"},
		{"a.pdf", "application/octet-stream", "MZ\x00\x01", "application/octet-stream"},
		{"a.docx", "", zip, word},
		{"a.DOCX", "application/octet-stream", zip, word},
		{"a.docx", "application/octet-stream", "words", "text/plain"},
		{"a.docx", word, "words", word},
		{"a.zip", "application/x-download", zip, "application/zip"},
		{"a", "binary/octet-stream", zip, "application/zip"},
		{"a.doc", "application/octet-stream", oleBytes, "application/msword"},
		{"a.doc", "application/octet-stream", "MZ\x00\x01", "application/octet-stream"},
		{"a.xls", "nonsense", oleBytes, "application/vnd.ms-excel"},
		{"a.csv", "application/octet-stream", "a;b\n", "text/csv"},
		{"a.csv", "application/octet-stream", zip, "application/zip"},
		{"a.txt", "", "words", "text/plain"},
		{"a.txt", "text/plain; charset=utf-8", "<html>", "text/plain"},
		{"a.png", "image/png", pngBytes, "image/png"},
		{"a.png", "image/png", "<svg onload=x>", "text/plain"},
		{"a.jpg", "image/jpeg", pngBytes, "image/png"},
		{"image", "application/octet-stream", pngBytes, "image/png"},
		{"a.svg", "image/svg+xml", "<svg>", "image/svg+xml"},
		{"a.html", "text/html", "<html>", "text/html"},
		{"a.txt", "text/plain", "", "text/plain"},
	} {
		w := &web{pages: map[string]http.HandlerFunc{sharePoint: file(tt.answered, tt.body)}}
		data, got, err := w.on(t, fixedToken("the-token")).FetchFile(t.Context(), adapter.FileRef{Name: tt.name, URL: sharePoint}, 100)
		if err != nil || string(data) != tt.body || got != tt.want {
			t.Errorf("%s answered as %q: %q, type %q, %v, want %q", tt.name, tt.answered, data, got, err, tt.want)
		}
		if diff := cmp.Diff([]string{sharePoint}, w.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	}
}

// Who is asked, and with what, along every way that a file's address may lead.
func TestFetchFileGoesNowhereElse(t *testing.T) {
	t.Parallel()
	const token = " Bearer the-token"
	paper := adapter.FileRef{Name: "a.txt", URL: sharePoint}
	picture := adapter.FileRef{Name: "image", URL: teamsPicture, Token: true}
	at := func(url string, token bool) adapter.FileRef {
		return adapter.FileRef{Name: "a.txt", URL: url, Token: token}
	}
	const members = "https://smba.trafficmanager.net/emea/v3/conversations/a:1/members"
	for _, tt := range []struct {
		name  string
		ref   adapter.FileRef
		leads map[string]string // redirects; what is not one of these is a file
		asked []string
		ok    bool
	}{
		{"the paper clip gets no token", paper, nil, []string{sharePoint}, true},
		{"nor does it at the Connector", at(teamsPicture, false), nil, []string{teamsPicture}, true},
		{"a picture does", picture, nil, []string{teamsPicture + token}, true},
		{"not on a host of files", at("https://anyone.blob.core.windows.net/v3/attachments/a", true), nil, []string{"https://anyone.blob.core.windows.net/v3/attachments/a"}, true},
		{"not for the members of a chat", at(members, true), nil, []string{members}, true},
		{"not by going up", at("https://smba.trafficmanager.net/v3/attachments/../conversations", true), nil, []string{"https://smba.trafficmanager.net/v3/attachments/../conversations"}, true},
		{"not by going up in code", at("https://smba.trafficmanager.net/v3/attachments/%2e%2e/conversations", true), nil, []string{"https://smba.trafficmanager.net/v3/attachments/%2e%2e/conversations"}, true},
		{"not by going up in code of code", at("https://smba.trafficmanager.net/v3/attachments/%252e%252e/conversations", true), nil, []string{"https://smba.trafficmanager.net/v3/attachments/%252e%252e/conversations"}, true},
		{"not with backslashes", at(`https://smba.trafficmanager.net/v3/attachments/a%5cb`, true), nil, []string{`https://smba.trafficmanager.net/v3/attachments/a%5cb`}, true},
		{"not in the query", at("https://smba.trafficmanager.net/v3/x?/v3/attachments/a", true), nil, []string{"https://smba.trafficmanager.net/v3/x?/v3/attachments/a"}, true},

		{"a redirect between hosts of files", paper, map[string]string{sharePoint: "https://eu.svc.ms/x"}, []string{sharePoint, "https://eu.svc.ms/x"}, true},
		{"a relative redirect", paper, map[string]string{sharePoint: "/y"}, []string{sharePoint, "https://contoso-my.sharepoint.com/y"}, true},
		{"the token stays on its host", picture, map[string]string{teamsPicture: "../../b"}, []string{teamsPicture + token, "https://smba.trafficmanager.net/emea/v3/attachments/b" + token}, true},
		{"and in its place", picture, map[string]string{teamsPicture: members}, []string{teamsPicture + token, members}, true},
		{
			"it follows to no other host, be it the Connector's", picture,
			map[string]string{teamsPicture: "https://webchat.botframework.com/v3/attachments/a"},
			[]string{teamsPicture + token, "https://webchat.botframework.com/v3/attachments/a"},
			true,
		},
		{
			"and is not back when the way leads back", picture,
			map[string]string{teamsPicture: "https://eu.svc.ms/x", "https://eu.svc.ms/x": "https://smba.trafficmanager.net/v3/attachments/b"},
			[]string{teamsPicture + token, "https://eu.svc.ms/x", "https://smba.trafficmanager.net/v3/attachments/b"},
			true,
		},

		{"a redirect to a foreign host", paper, map[string]string{sharePoint: "https://evil.org/"}, []string{sharePoint}, false},
		{"a redirect of a picture to a foreign host", picture, map[string]string{teamsPicture: "https://evil.org/v3/attachments/a"}, []string{teamsPicture + token}, false},
		{"a redirect to another trafficmanager", picture, map[string]string{teamsPicture: "https://evil.trafficmanager.net/v3/attachments/a"}, []string{teamsPicture + token}, false},
		{"a redirect to http", paper, map[string]string{sharePoint: strings.Replace(sharePoint, "https", "http", 1)}, []string{sharePoint}, false},
		{"a redirect to the metadata address", paper, map[string]string{sharePoint: "http://169.254.169.254/latest/meta-data/"}, []string{sharePoint}, false},
		{"a redirect to it over https", paper, map[string]string{sharePoint: "https://169.254.169.254/"}, []string{sharePoint}, false},
		{"a redirect inside", paper, map[string]string{sharePoint: "https://10.0.0.1/"}, []string{sharePoint}, false},
		{"a redirect home", paper, map[string]string{sharePoint: "http://localhost:3979/api/admin"}, []string{sharePoint}, false},
		{"a redirect with a user", paper, map[string]string{sharePoint: "https://u:p@eu.svc.ms/"}, []string{sharePoint}, false},
		{"a redirect to a file of ours", paper, map[string]string{sharePoint: "file:///etc/passwd"}, []string{sharePoint}, false},
		{"a redirect on the second step", paper, map[string]string{sharePoint: "/y", "https://contoso-my.sharepoint.com/y": "https://evil.org/"}, []string{sharePoint, "https://contoso-my.sharepoint.com/y"}, false},

		{"plain http", at("http://contoso-my.sharepoint.com/a", false), nil, nil, false},
		{"another port", at("https://contoso-my.sharepoint.com:8443/a", false), nil, nil, false},
		{"an address", at("https://13.107.6.1/a", false), nil, nil, false},
		{"a private address", at("https://192.168.0.1/a", true), nil, nil, false},
		{"an address of version 6", at("https://[fe80::1%25eth0]/a", false), nil, nil, false},
		{"an address as a number", at("https://2130706433/a", false), nil, nil, false},
		{"an address in octal", at("https://0177.0.0.1/a", false), nil, nil, false},
		{"loopback", at("https://127.0.0.1/a", true), nil, nil, false},
		{"a name inside", at("https://intranet/a", false), nil, nil, false},
		{"the metadata service by name", at("https://metadata.google.internal/a", false), nil, nil, false},
		{"a host of Skype, which wants another token", at("https://eu-api.asm.skype.com/v1/objects/0-a/views/imgo", true), nil, nil, false},
		{"a suffix without dot", at("https://evilsharepoint.com/a", false), nil, nil, false},
		{"data", at("data:image/png;base64,AAAA", false), nil, nil, false},
		{"no address", at("x", false), nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &web{pages: map[string]http.HandlerFunc{}}
			for from, to := range tt.leads {
				w.pages[from] = redirect(to)
			}
			for _, line := range tt.asked {
				if url, _, _ := strings.Cut(line, " "); w.pages[url] == nil {
					w.pages[url] = file("text/plain", "words")
				}
			}
			data, _, err := w.on(t, fixedToken("the-token")).FetchFile(t.Context(), tt.ref, 100)
			if diff := cmp.Diff(tt.asked, w.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if (err == nil) != tt.ok || (string(data) == "words") != tt.ok {
				t.Errorf("FetchFile = %q, %v", data, err)
			}
			if err == nil {
				return
			}
			var host *adapter.HostError
			if e := wantError(t, err); e.Op != "file" || e.Written || !errors.As(err, &host) {
				t.Errorf("error %+v", e)
			}
			if s := err.Error(); strings.Contains(s, "tempauth") || strings.Contains(s, "the-token") || strings.Contains(s, "original") {
				t.Errorf("the error tells too much: %s", s)
			}
		})
	}
}

func TestFetchFileFails(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "words of a person")
		}
	}
	paper := adapter.FileRef{Name: "a.txt", URL: sharePoint}
	picture := adapter.FileRef{Name: "image", URL: teamsPicture, Token: true}
	for _, tt := range []struct {
		name string
		ref  adapter.FileRef
		page http.HandlerFunc
		want adapter.Error // Err is what it has to wrap, if anything
		asks int
	}{
		{"no address", adapter.FileRef{Name: "a.txt"}, nil, adapter.Error{Op: "file", Err: adapter.ErrFileGone}, 0},
		{"not found", paper, status(404), adapter.Error{Op: "file", StatusCode: 404, Err: adapter.ErrFileGone}, 1},
		{"gone", paper, status(410), adapter.Error{Op: "file", StatusCode: 410, Err: adapter.ErrFileGone}, 1},
		{"expired", paper, status(403), adapter.Error{Op: "file", StatusCode: 403, Err: adapter.ErrFileGone}, 1},
		{"expired in another way", paper, status(401), adapter.Error{Op: "file", StatusCode: 401, Err: adapter.ErrFileGone}, 1},
		{"a picture gone", picture, status(404), adapter.Error{Op: "file", StatusCode: 404, Err: adapter.ErrFileGone}, 1},
		{"a token refused that cannot be replaced", picture, status(401), adapter.Error{Op: "token", StatusCode: 401}, 1},
		{"throttled", paper, status(429), adapter.Error{Op: "file", StatusCode: 429}, 1},
		{"down", paper, status(503), adapter.Error{Op: "file", StatusCode: 503}, 1},
		{"a part", paper, status(206), adapter.Error{Op: "file", StatusCode: 206}, 1},
		{"nothing", paper, status(204), adapter.Error{Op: "file", StatusCode: 204}, 1},
		{"not modified", paper, status(304), adapter.Error{Op: "file", StatusCode: 304}, 1},
		{"a redirect to nowhere", paper, status(302), adapter.Error{Op: "file", StatusCode: 302}, 1},
		{"a redirect that is no address", paper, redirect("https://%zz/"), adapter.Error{Op: "file"}, 1},
		{"round and round", paper, redirect(sharePoint), adapter.Error{Op: "file", StatusCode: 302}, 6},
		{"a page in place of the file", paper, file("text/html; charset=utf-8", "<html>"), adapter.Error{Op: "file", StatusCode: 200, Code: adapter.CodeNotConnector}, 1},
		{"a page in place of the picture", picture, file("image/png", "<html>"), adapter.Error{Op: "file", StatusCode: 200, Code: adapter.CodeNotConnector}, 1},
		{"too large", paper, file("text/plain", strings.Repeat("x", 101)), adapter.Error{Op: "file", Err: adapter.ErrFileTooLarge}, 1},
		{"an encoding that nobody asked for", paper, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			file("text/plain", "x")(w, r)
		}, adapter.Error{Op: "file", StatusCode: 200}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &web{pages: map[string]http.HandlerFunc{tt.ref.URL: tt.page}}
			data, _, err := w.on(t, fixedToken("the-token")).FetchFile(t.Context(), tt.ref, 100)
			e := wantError(t, err)
			if data != nil || e.Op != tt.want.Op || e.StatusCode != tt.want.StatusCode || e.Code != tt.want.Code || e.Written {
				t.Errorf("%d bytes, error %+v", len(data), e)
			}
			for _, reason := range []error{adapter.ErrFileGone, adapter.ErrFileTooLarge} {
				if errors.Is(err, reason) != errors.Is(tt.want.Err, reason) {
					t.Errorf("error %v, want one that wraps %v", err, tt.want.Err)
				}
			}
			if tt.want.StatusCode >= http.StatusTooManyRequests && e.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter = %v", e.RetryAfter)
			}
			if n := len(w.requests()); n != tt.asks {
				t.Errorf("%d requests, want %d", n, tt.asks)
			}
			if strings.Contains(err.Error(), "words") || strings.Contains(err.Error(), "tempauth") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestFetchFileWithAFreshToken(t *testing.T) {
	t.Parallel()
	w := &web{pages: map[string]http.HandlerFunc{teamsPicture: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		file("image/png", pngBytes)(w, r)
	}}}
	data, contentType, err := w.on(t, &changingToken{"old"}).FetchFile(t.Context(), adapter.FileRef{Name: "image", URL: teamsPicture, Token: true}, 100)
	if string(data) != pngBytes || contentType != "image/png" || err != nil {
		t.Errorf("FetchFile = %q, %q, %v", data, contentType, err)
	}
	if diff := cmp.Diff([]string{teamsPicture + " Bearer old", teamsPicture + " Bearer new"}, w.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A changingToken is new once it was forgotten.
type changingToken struct{ now string }

func (c *changingToken) Token(context.Context) (string, error) { return c.now, nil }
func (c *changingToken) Forget(string)                         { c.now = "new" }
