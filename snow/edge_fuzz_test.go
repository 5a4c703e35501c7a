package snow_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"snowbot/snow"
)

// filePlaces are where an instance has files: nothing else is asked for under our token.
var filePlaces = regexp.MustCompile(`(?i)^/api/now/(v\d+/)?(cs/media/[\w./-]+|attachment/[0-9a-f]{32}/file)$|\.(iix|pngx?|jpe?gx?|gifx?|bmpx?|webpx?)$`)

// FuzzFetchMedia lets ServiceNow send any address and the instance lead to any other, with any headers: only files of the instance are
// called, and what they are named can be shown.
func FuzzFetchMedia(f *testing.F) {
	for _, s := range [][4]string{
		{"/api/now/v1/cs/media/abc", "", "attachment; filename*=UTF-8''%2e%2e%2fa%0d", `{"file_name":"../b"}`},
		{"/sys_attachment.do?sys_id=" + attachmentID, "/api/now/table/sys_user/x.png", "inline", "{"},
		{"x.pngx?t=1", "https://example.service-now.com@evil.example/x.png", "", ""},
		{"https://example.service-now.com:443/a/..%2fb.png", "//evil.example/x.png", `attachment; filename="a\"b"`, "null"},
		{"/api/now/v1/cs/media/../../table/sys_user", "http://example.service-now.com/x.png", "", `{"file_name":7}`},
		{"/x.do;/y.png", `\\evil.example\x.png`, "x", "[]"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, address, location, disposition, metadata string) {
		instance := &fakeInstance{api: func(n int, _ *http.Request, _ []byte) fakeAnswer {
			if n == 1 && location != "" {
				return fakeAnswer{status: http.StatusFound, header: http.Header{"Location": {location}}}
			}
			return fakeAnswer{header: http.Header{"Content-Disposition": {disposition}, "X-Attachment-Metadata": {metadata}}, body: "words"}
		}}
		c := newFakeClient(t, instance, func(o *snow.ClientOptions) { o.Log = nil })
		_, name, kind, err := c.FetchMedia(t.Context(), address, 100)
		for _, call := range instance.called() {
			path, bad := url.PathUnescape(call.path)
			if bad != nil || call.host != "example.service-now.com" || !filePlaces.MatchString(path) || strings.Contains(path, "..") {
				t.Errorf("%q and %q lead to %s%s", address, location, call.host, call.path)
			}
		}
		if known := c.IsMedia(address); known != (len(instance.called()) > 0) {
			t.Errorf("%q: IsMedia %v, %d calls", address, known, len(instance.called()))
		}
		var e *snow.Error
		switch {
		case err != nil && (!errors.As(err, &e) || e.Written):
			t.Errorf("error %#v", err)
		case err != nil:
		case kind == "" || name == "" || len(name) > 255 || !utf8.ValidString(name) || strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl):
			t.Errorf("name %q, type %q", name, kind)
		}
	})
}

// FuzzStoredMessage has the instance keep a message of any content: it is read as at least one item, under its own id, and plain words
// as they are.
func FuzzStoredMessage(f *testing.F) {
	for _, s := range []string{
		"words", "", `{"message":{"text":"a"}}`, `{"uiType":"OutputTable","headers":["a"],"data":[[1]],"navigationBtnLabel":"more"}`, `{"type":"System","text":"x"}`,
		`{"uiType":"MultiPartOutput","content":"{\"uiType\":\"OutputText\",\"value\":\"x\"}","navigationBtnLabel":"y"}`, "[]", "{", `{"uiType":{}}`, "\xff", `{"uiType":"StreamChunk"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		rows := func(v any) fakeAnswer {
			body, err := json.Marshal(map[string]any{"result": []any{v}})
			if err != nil {
				t.Error(err)
			}
			return fakeAnswer{body: string(body)}
		}
		instance := &fakeInstance{api: func(_ int, r *http.Request, _ []byte) fakeAnswer {
			if strings.HasSuffix(r.URL.Path, "sys_cs_conversation") {
				return rows(map[string]any{"sys_id": "c0ff", "session.device_id": "s-1"})
			}
			return rows(map[string]any{
				"sys_id": "m1", "conversation": "c0ff", "is_agent": "true", "sys_created_on": "2026-03-01 12:00:00", "payload": payload,
			})
		}}
		got, err := newFakeClient(t, instance, func(o *snow.ClientOptions) { o.Log = nil }).ReadBack(t.Context(), "s-1", time.Time{})
		if err != nil || len(got.Messages) != 1 || len(got.Messages[0].Items) == 0 {
			t.Fatalf("%q: %+v, %v", payload, got, err)
		}
		seen := map[string]bool{}
		for _, it := range got.Messages[0].Items {
			if !strings.HasPrefix(it.ID, "m1") || seen[it.ID] || it.Kind == "" {
				t.Errorf("%q: item %q of kind %q", payload, it.ID, it.Kind)
			}
			seen[it.ID] = true
			_ = it.Readable()
		}
		if text := got.Messages[0].Items[0].Text; !strings.Contains(payload, "{") && text != strings.ToValidUTF8(payload, "\ufffd") && utf8.ValidString(payload) {
			t.Errorf("%q is read as %q", payload, text)
		}
	})
}

// FuzzLogin lets the token endpoint answer anything: what it gives can stand in a header, and an error repeats nothing of it.
func FuzzLogin(f *testing.F) {
	for _, body := range []string{
		tokenBody("access-1", "1799"), tokenBody("access-1", `"NaN"`), tokenBody("access-1", "1e400"), tokenBody(`a\r\nX: y`, "-5"), rejected.body, "<html>", "", "null", `{"access_token":7}`,
		`{"access_token":"a","refresh_token":[],"expires_in":{}}`, `{"error":{"message":"x"}}`,
	} {
		f.Add(uint16(200), body)
		f.Add(uint16(401), body)
	}
	f.Fuzz(func(t *testing.T, status uint16, body string) {
		instance := &fakeInstance{token: func(int, url.Values) fakeAnswer { return fakeAnswer{status: 200 + int(status)%400, body: body} }}
		err := newFakeClient(t, instance, func(o *snow.ClientOptions) { o.Log = nil }).Say(t.Context(), testChat, hello)
		var e *snow.Error
		if err != nil && (!errors.As(err, &e) || e.Written || len(err.Error()) > 150) {
			t.Errorf("%d %q: %v", status, body, err)
		}
		for _, call := range instance.called() {
			if token := call.header.Get("Authorization"); strings.ContainsFunc(token, unicode.IsControl) || token == "Bearer " {
				t.Errorf("%q leads to %q", body, token)
			}
		}
	})
}
