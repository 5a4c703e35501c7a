package snow_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"snowbot/snow"
	"snowbot/snow/snowtest"
)

const attachmentID = "0123456789abcdef0123456789ABCDEF"

func TestSayWithAnAttachment(t *testing.T) {
	t.Parallel()
	f := &fakeInstance{}
	c := newFakeClient(t, f)
	file := snow.Attachment{ContentType: "image/png", Name: "a b.png", URL: "https://bot.example/files/x", ClientID: "c-1"}
	for _, w := range []snow.Words{
		{RequestID: "r-1", MessageID: "m-1", Attachment: &file},
		{RequestID: "r-2", MessageID: "m-2", Text: "look", Attachment: &snow.Attachment{ContentType: "text/plain", Name: "a.txt", URL: "https://u"}},
		{RequestID: "r-3", MessageID: "m-3", Text: "none"},
	} {
		if err := c.Say(t.Context(), testChat, w); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{
		`{"text":"","typed":true,"clientMessageId":"m-1","attachment":{"contentType":"image/png","fileName":"a b.png","url":"https://bot.example/files/x","clientAttachmentId":"c-1"}}`,
		`{"text":"look","typed":true,"clientMessageId":"m-2","attachment":{"contentType":"text/plain","fileName":"a.txt","url":"https://u"}}`,
		`{"text":"none","typed":true,"clientMessageId":"m-3"}`, // even an empty key would lose the message
	} {
		var sent struct{ Message json.RawMessage }
		if err := json.Unmarshal(f.called()[i].body, &sent); err != nil || string(sent.Message) != want {
			t.Errorf("message %s, %v, want %s", sent.Message, err, want)
		}
	}
}

func TestMediaOf(t *testing.T) {
	t.Parallel()
	const instance = "https://example.service-now.com"
	c := newFakeClient(t, &fakeInstance{})
	for raw, want := range map[string]bool{
		instance + "/api/now/v1/cs/media/abc":                                      true,
		"/api/now/v1/cs/media/abc":                                                 true,
		"api/now/cs/media/a/b.png?x=1":                                             true,
		"/sys_attachment.do?sys_id=" + attachmentID:                                true,
		instance + ":443/sys_attachment.do?view=true&sys_id=" + attachmentID:       true,
		"HTTPS://Example.Service-Now.com/sys_attachment.do?sys_id=" + attachmentID: true,
		"/api/now/attachment/" + attachmentID + "/file":                            true,
		"abc.iix?t=small":   true,
		"/images/logo.PNGx": true,

		"":                      false,
		"/":                     false,
		"/api/now/v1/cs/media/": false,
		"/api/now/v1/cs/media/../../table/sys_user":                      false,
		"/api/now/v1/cs/media/%2e%2e/%2e%2e/table/sys_user":              false,
		"/api/now/v1/cs/media/..%2f..%2ftable/sys_user":                  false,
		"/api/now/v1/cs/media/%252e%252e/x":                              false,
		`/api/now/v1/cs/media/..\x`:                                      false,
		"/api/now/v1/cs/media/a;x=/..":                                   false,
		"/api/now/v1/cs/media//x":                                        false,
		"/api/now/table/sys_user":                                        false,
		"/api/now/table/sys_user/x.png":                                  false,
		"/API/now/table/sys_user/x.png":                                  false,
		"/sys_attachment.do":                                             false,
		"/sys_attachment.do?sys_id=../../table/x":                        false,
		"/sys_attachment.do?sys_id=" + attachmentID + "0":                false,
		"/api/now/attachment/" + attachmentID:                            false,
		"/kb_view.do?sys_id=" + attachmentID:                             false,
		"/va_link.do?token=x&target_url=a.png":                           false,
		"http://example.service-now.com/api/now/v1/cs/media/abc":         false,
		instance + ":8443/api/now/v1/cs/media/abc":                       false,
		instance + ".evil.org/api/now/v1/cs/media/abc":                   false,
		"https://u@example.service-now.com/api/now/v1/cs/media/abc":      false,
		"https://evil.org/api/now/v1/cs/media/abc":                       false,
		"//evil.org/api/now/v1/cs/media/abc":                             false,
		`\\evil.org/a.png`:                                               false,
		"https://169.254.169.254/a.png":                                  false,
		"http://127.0.0.1/a.png":                                         false,
		"data:image/png;base64,AAAA":                                     false,
		"javascript:alert(1)//a.png":                                     false,
		"see " + instance + "/api/now/v1/cs/media/abc":                   false,
		instance + "/api/now/v1/cs/media/abc and more":                   false,
		instance + "/api/now/v1/cs/media/a\n" + instance + "/kb_view.do": false,
	} {
		if got := c.IsMedia(raw); got != want {
			t.Errorf("IsMedia(%q) = %v", raw, got)
		}
		for _, it := range []snow.Item{{Kind: snow.KindImage, URL: raw}, {Kind: snow.KindLink, URL: raw}, {Kind: snow.KindText, Text: " " + raw + "\n"}} {
			want := want && (it.Kind != snow.KindText || strings.HasPrefix(raw, "/") || strings.Contains(raw, "://"))
			got := c.MediaOf(it)
			if (got != "") != want || want && !strings.HasPrefix(strings.ToLower(got), instance) {
				t.Errorf("MediaOf(%s %q) = %q", it.Kind, raw, got)
			}
		}
	}
	for _, it := range []snow.Item{
		{Kind: snow.KindText, Text: "picture.png"},
		{Kind: snow.KindSystem, Text: "/api/now/v1/cs/media/abc"},
		{Kind: snow.KindCard, URL: "/api/now/v1/cs/media/abc"},
	} {
		if got := c.MediaOf(it); got != "" {
			t.Errorf("MediaOf(%+v) = %q", it, got)
		}
	}
}

func TestFetchMedia(t *testing.T) {
	t.Parallel()
	const png = "\x89PNG\r\n\x1a\n1234"
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name, address, asked string
		answer               fakeAnswer
		file, contentType    string
	}{
		{
			"media with a name", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc",
			fakeAnswer{header: header("Content-Type", "Application/PDF; x=y", "Content-Disposition", `attachment; filename="a.pdf"`), body: "%PDF-"},
			"a.pdf", "application/pdf",
		},
		{
			"a name in another alphabet", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc",
			fakeAnswer{header: header("Content-Type", "application/zip", "Content-Disposition", "attachment; filename*=UTF-8''%e2%82%ac%20x.zip"), body: "PK\x03\x04"},
			"€ x.zip", "application/zip",
		},
		{
			"an attachment, by the API", "/sys_attachment.do?sys_id=" + attachmentID, "/api/now/attachment/" + attachmentID + "/file",
			fakeAnswer{header: header("X-Attachment-Metadata", `{"file_name":"b.txt","size_bytes":"2"}`, "Content-Type", "text/plain"), body: "hi"},
			"b.txt", "text/plain",
		},
		{
			"a page that is an attachment", "/sys_attachment.do?sys_id=" + attachmentID, "/api/now/attachment/" + attachmentID + "/file",
			fakeAnswer{header: header("X-Attachment-Metadata", `{"file_name":"b.html"}`, "Content-Type", "text/html"), body: "<p>"},
			"b.html", "text/html",
		},
		{
			"a document that says nothing of itself", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc",
			fakeAnswer{header: header("Content-Type", "application/octet-stream", "Content-Disposition", "attachment; filename=Plan.DOCX"), body: "PK\x03\x04"},
			"Plan.DOCX", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		},
		{
			"an old document, by its metadata", "/sys_attachment.do?sys_id=" + attachmentID, "/api/now/attachment/" + attachmentID + "/file",
			fakeAnswer{header: header("X-Attachment-Metadata", `{"file_name":"old.xls"}`), body: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"},
			"old.xls", "application/vnd.ms-excel",
		},
		{
			"a program that is called a document", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc",
			fakeAnswer{header: header("Content-Disposition", "attachment; filename=a.docx"), body: "<html><script>"},
			"a.docx", "text/html",
		},
		{"a picture by its address", "/x.pngx?t=1", "/x.pngx", fakeAnswer{header: header(), body: png}, "x.pngx", "image/png"},
		{"a picture without a name", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc", fakeAnswer{header: header("Content-Type", "application/octet-stream"), body: png}, "image.png", "image/png"},
		{
			"a picture that is none", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc",
			fakeAnswer{header: header("Content-Type", "image/png", "Content-Disposition", "inline; filename=a.png"), body: "<html><script>"},
			"a.png", "text/html",
		},
		{"an empty file", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc", fakeAnswer{header: header("Content-Type", "text/plain")}, "file", "text/plain"},
		{
			"hostile names", "/api/now/v1/cs/media/abc", "/api/now/v1/cs/media/abc",
			fakeAnswer{header: header("Content-Type", "text/plain", "Content-Disposition", `attachment; filename*=UTF-8''..%2f..%2fa%0d%0a%e2%80%aetxt.exe`)},
			"atxt.exe", "text/plain",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fakeInstance{api: func(int, *http.Request, []byte) fakeAnswer { return tt.answer }}
			data, name, contentType, err := newFakeClient(t, f).FetchMedia(t.Context(), tt.address, 100)
			if err != nil || string(data) != tt.answer.body || name != tt.file || contentType != tt.contentType {
				t.Errorf("FetchMedia = %q, %q, %q, %v", data, name, contentType, err)
			}
			got := f.called()[0]
			if got.method != http.MethodGet || got.path != tt.asked || got.header.Get("Authorization") != "Bearer access-1" || got.header.Get("Accept") != "" {
				t.Errorf("asked %s %s with %v", got.method, got.path, got.header)
			}
		})
	}
}

func TestFetchMediaFails(t *testing.T) {
	t.Parallel()
	redirect := func(to string) fakeAnswer { return fakeAnswer{status: 302, header: http.Header{"Location": {to}}} }
	for _, tt := range []struct {
		name    string
		answers []fakeAnswer // the last serves all that come after
		want    error
		status  int
		calls   int
	}{
		{"too large", []fakeAnswer{{header: http.Header{"Content-Type": {"text/plain"}}, body: strings.Repeat("x", 101)}}, snow.ErrMediaTooLarge, 0, 1},
		{"gone", []fakeAnswer{{status: 404}}, snow.ErrMediaGone, 404, 1},
		{"gone for good", []fakeAnswer{{status: 410}}, snow.ErrMediaGone, 410, 1},
		{"hidden from us", []fakeAnswer{{status: 403}}, snow.ErrMediaGone, 403, 1},
		{"a token refused twice", []fakeAnswer{{status: 401}}, nil, 401, 2},
		{"busy", []fakeAnswer{{status: 503, header: http.Header{"Retry-After": {"7"}}}}, nil, 503, 1},
		{"part of a file", []fakeAnswer{{status: 206, body: "x"}}, nil, 206, 1},
		{"an encoding nobody asked for", []fakeAnswer{{header: http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"br"}}, body: "x"}}, nil, 200, 1},
		{"a page that asks for a login", []fakeAnswer{{header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, body: "<html>"}}, nil, 200, 1},
		{"led to another host", []fakeAnswer{redirect("https://evil.org/api/now/v1/cs/media/abc")}, snow.ErrNotMedia, 0, 1},
		{"led to a host by its address", []fakeAnswer{redirect("http://169.254.169.254/a.png")}, snow.ErrNotMedia, 0, 1},
		{"led to http", []fakeAnswer{redirect("http://example.service-now.com/api/now/v1/cs/media/abc")}, snow.ErrNotMedia, 0, 1},
		{"led to what is no file", []fakeAnswer{redirect("/api/now/table/sys_user")}, snow.ErrNotMedia, 0, 1},
		{"led to a login", []fakeAnswer{redirect("/login.do")}, snow.ErrNotMedia, 0, 1},
		{"led nowhere", []fakeAnswer{{status: 302}}, snow.ErrNotMedia, 302, 1},
		{"led on and on", []fakeAnswer{redirect("def")}, nil, 0, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fakeInstance{}
			f.api = func(n int, r *http.Request, _ []byte) fakeAnswer {
				if r.URL.Host != "example.service-now.com" || r.URL.Scheme != "https" {
					t.Errorf("%s was called", r.URL.Host)
				}
				return tt.answers[min(n, len(tt.answers))-1]
			}
			data, _, _, err := newFakeClient(t, f).FetchMedia(t.Context(), "/api/now/v1/cs/media/abc", 100)
			var e *snow.Error
			if data != nil || !errors.As(err, &e) || e.Op != "media" || e.StatusCode != tt.status || e.Written || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("%d bytes, error %v (%+v)", len(data), err, e)
			}
			if e.NotJSON != (tt.name == "a page that asks for a login") || (e.RetryAfter > 0) != (tt.status == 503) {
				t.Errorf("error %+v", e)
			}
			if n := len(f.called()); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			if strings.Contains(err.Error(), "abc") || strings.Contains(err.Error(), "evil") {
				t.Errorf("the error tells the address: %v", err)
			}
		})
	}
	t.Run("what is no file is not asked for", func(t *testing.T) {
		t.Parallel()
		f := &fakeInstance{}
		_, _, _, err := newFakeClient(t, f).FetchMedia(t.Context(), "/api/now/table/sys_user", 100)
		if !errors.Is(err, snow.ErrNotMedia) || len(f.called())+len(f.asked()) != 0 {
			t.Errorf("%v, %d calls", err, len(f.called()))
		}
	})
	t.Run("within the instance", func(t *testing.T) {
		t.Parallel()
		f := &fakeInstance{}
		f.api = func(n int, _ *http.Request, _ []byte) fakeAnswer {
			return []fakeAnswer{redirect("/api/now/v1/cs/media/def"), {status: 401}, {header: http.Header{"Content-Type": {"text/plain"}}, body: "hi"}}[n-1]
		}
		data, _, _, err := newFakeClient(t, f).FetchMedia(t.Context(), "/api/now/v1/cs/media/abc", 2)
		if string(data) != "hi" || err != nil || f.called()[2].header.Get("Authorization") != "Bearer access-2" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

// A file that refuses every token does not cost the other calls theirs.
func TestAFileThatIsRefusedLeavesTheToken(t *testing.T) {
	t.Parallel()
	f := &fakeInstance{}
	f.api = func(_ int, r *http.Request, _ []byte) fakeAnswer {
		if r.Method == http.MethodGet {
			return fakeAnswer{status: 401}
		}
		if r.Header.Get("Authorization") == "Bearer access-1" {
			return fakeAnswer{status: 401} // it has been revoked
		}
		return fakeAnswer{body: `{"status":"success"}`}
	}
	c := newFakeClient(t, f)
	for range 4 {
		var e *snow.Error
		if _, _, _, err := c.FetchMedia(t.Context(), "/api/now/v1/cs/media/abc", 100); !errors.As(err, &e) || e.StatusCode != http.StatusUnauthorized {
			t.Errorf("error %v", err)
		}
		if err := c.Say(t.Context(), testChat, snow.Words{RequestID: "r", MessageID: "m", Text: "hi"}); err != nil {
			t.Error(err)
		}
	}
	if n := len(f.asked()); n != 2 {
		t.Errorf("asked for %d tokens, want the first and one more", n)
	}
}

// What an agent sends on the emulated instance is recognised and arrives, by each address that it may have.
func TestFetchMediaOfAnInstance(t *testing.T) {
	t.Parallel()
	i, err := snowtest.New(snowtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := snow.NewClient(snow.ClientOptions{
		Instance: i.URL(), ClientID: "client", ClientSecret: "client-secret", Username: "integration.user", Password: "integration-password",
		HTTP: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	path := i.AddFile("ü.txt", "text/plain", []byte("words"))
	id := path[strings.LastIndex(path, "/")+1:]
	for _, address := range []string{path, i.URL() + path, "/sys_attachment.do?sys_id=" + id, i.URL() + "/sys_attachment.do?view=true&sys_id=" + id} {
		abs := c.MediaOf(snow.Item{Kind: snow.KindText, Text: address})
		data, name, contentType, err := c.FetchMedia(t.Context(), abs, 5)
		if err != nil || string(data) != "words" || name != "ü.txt" || contentType != "text/plain" {
			t.Errorf("%s: %q, %q, %q, %v", address, data, name, contentType, err)
		}
		if _, _, _, err := c.FetchMedia(t.Context(), abs, 4); !errors.Is(err, snow.ErrMediaTooLarge) {
			t.Errorf("%s: %v, want that it is too large", address, err)
		}
	}
	if _, _, _, err := c.FetchMedia(t.Context(), path+"0", 5); !errors.Is(err, snow.ErrMediaGone) {
		t.Errorf("error %v, want that it is gone", err)
	}
}

// Whatever an instance says of the length, no more is read than what is allowed and a byte, by which the rest is known.
func TestFetchMediaReadsNoMoreThanAllowed(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for said, most := range map[int64]int{-1: limit + 1, 0: limit + 1, 5: limit + 1, limit: limit + 1, limit + 1: 0, 1 << 62: 0} {
		body := &countedBody{left: 64 << 20}
		c := newFakeClient(t, &fakeInstance{}, func(o *snow.ClientOptions) {
			o.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/oauth_token.do" {
					return (&fakeInstance{}).RoundTrip(r)
				}
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body, ContentLength: said, Request: r}, nil
			})}
		})
		data, _, _, err := c.FetchMedia(t.Context(), "/api/now/v1/cs/media/abc", limit)
		if !errors.Is(err, snow.ErrMediaTooLarge) || data != nil || body.read > most {
			t.Errorf("a length of %d: %d bytes read, %v", said, body.read, err)
		}
	}
}

// A countedBody counts what is taken of it.
type countedBody struct{ left, read int }

func (b *countedBody) Read(p []byte) (int, error) {
	n := min(len(p), b.left-b.read)
	b.read += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (*countedBody) Close() error { return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
