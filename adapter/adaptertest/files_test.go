package adaptertest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
)

// An attachment is one of an activity that the bot got.
type attachment struct {
	ContentType, ContentURL, Name string
	Content                       json.RawMessage
}

func attachmentsOf(t testing.TB, p adaptertest.Posted) []attachment {
	t.Helper()
	var a struct{ Attachments []attachment }
	if err := json.Unmarshal(p.Activity(), &a); err != nil {
		t.Fatal(err)
	}
	return a.Attachments
}

// fetchAs gets an address as the bot would, with a token or none.
func fetchAs(t testing.TB, address, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

func TestSendFiles(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := newChannel(t, adaptertest.Options{Now: now.now, FileLife: time.Minute})
	newBot(t, c)
	v := c.Personal(c.AddUser(adaptertest.User{}))
	u := v.Members()[0]
	send := func() string {
		t.Helper()
		p, err := v.SendFiles(t.Context(), u, "see", adaptertest.File{Name: "a b.pdf", ContentType: "application/pdf", Data: []byte("%PDF-secret")})
		if err != nil || !p.OK() {
			t.Fatalf("%+v, %v", p, err)
		}
		all := attachmentsOf(t, p)
		if len(all) != 2 || all[0].ContentType != "text/html" || all[1].ContentType != "application/vnd.microsoft.teams.file.download.info" || all[1].Name != "a b.pdf" {
			t.Fatalf("attachments %+v", all)
		}
		var content struct{ DownloadURL, UniqueID, FileType, Etag string }
		if err := json.Unmarshal(all[1].Content, &content); err != nil || content.FileType != "pdf" || content.UniqueID == "" || content.Etag == "" {
			t.Fatalf("content %s, %v", all[1].Content, err)
		}
		return content.DownloadURL
	}
	address := send()
	if a := fetchAs(t, address, ""); a.status != http.StatusOK || string(a.body) != "%PDF-secret" || a.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	if m := v.Messages(); len(m) != 1 || len(m[0].Attachments) != 1 || m[0].Attachments[0].Name != "a b.pdf" {
		t.Errorf("messages %+v", m)
	}
	for name, tt := range map[string]struct {
		address, token string
		status         int
	}{
		"with a token":    {address, c.AccessToken(), 401},
		"a wrong secret":  {strings.Replace(address, "tempauth=", "tempauth=x", 1), "", 403},
		"without secret":  {strings.Split(address, "&")[0], "", 403},
		"an unknown file": {strings.Replace(address, "UniqueId=", "UniqueId=0", 1), "", 404},
	} {
		if a := fetchAs(t, tt.address, tt.token); a.status != tt.status || bytes.Contains(a.body, []byte("PDF")) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	now.forward(time.Minute)
	if a := fetchAs(t, address, ""); a.status != http.StatusForbidden {
		t.Errorf("expired: %d", a.status)
	}
	address = send()
	c.ExpireFiles()
	if a := fetchAs(t, address, ""); a.status != http.StatusNotFound {
		t.Errorf("ended: %d", a.status)
	}
	for _, e := range c.Log() {
		if e.Direction == adaptertest.In && (strings.Contains(e.Path+e.ResponseBody, "tempauth") || strings.Contains(e.ResponseBody, "secret")) {
			t.Errorf("the log tells %s %s", e.Path, e.ResponseBody)
		}
	}

	group := c.Group(u)
	p, err := group.SendFiles(t.Context(), u, "see", adaptertest.File{Name: "a.pdf"})
	if all := attachmentsOf(t, p); err != nil || len(all) != 1 {
		t.Errorf("in a group chat: %+v, %v", all, err)
	}
}

func TestPaste(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	newBot(t, c)
	v := c.Personal(c.AddUser(adaptertest.User{}))
	p, err := v.Paste(t.Context(), v.Members()[0], "look", adaptertest.File{ContentType: "image/png", Data: []byte("PNG")}, adaptertest.File{Data: []byte("?")})
	all := attachmentsOf(t, p)
	if err != nil || len(all) != 3 || all[1].ContentType != "image/*" || all[1].Name != "" || len(all[1].Content) != 0 || !strings.Contains(string(all[0].Content), "AMSImage") {
		t.Fatalf("attachments %+v, %v", all, err)
	}
	if a := fetchAs(t, all[1].ContentURL, c.AccessToken()); a.status != http.StatusOK || string(a.body) != "PNG" || a.header.Get("Content-Type") != "image/png" {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	if a := fetchAs(t, all[2].ContentURL, c.AccessToken()); a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("type %q", a.header.Get("Content-Type"))
	}
	for _, token := range []string{"", "wrong"} {
		if a := fetchAs(t, all[1].ContentURL, token); a.status != http.StatusUnauthorized || bytes.Contains(a.body, []byte("PNG")) {
			t.Errorf("token %q: %d", token, a.status)
		}
	}
	if a := fetchAs(t, strings.Replace(all[1].ContentURL, "0-eus", "1-eus", 1), c.AccessToken()); a.status != http.StatusNotFound {
		t.Errorf("an unknown picture: %d", a.status)
	}
	remove := c.AddFault(adaptertest.Fault{PathContains: "/v3/attachments/", Kind: adaptertest.Redirect, Location: "https://elsewhere.example/x"})
	if a := fetchAs(t, all[1].ContentURL, c.AccessToken()); a.status != http.StatusFound || a.header.Get("Location") != "https://elsewhere.example/x" {
		t.Errorf("a redirect: %d %v", a.status, a.header)
	}
	remove()
}

// pictureOf is a picture of that many pixels, as PNG.
func pictureOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPictures(t *testing.T) {
	t.Parallel()
	good, wide := pictureOf(t, 10, 10), pictureOf(t, 1025, 1)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("a token was sent for %s", r.URL.Path)
		}
		w.Header().Set("Content-Type", "image/png")
		switch r.URL.Path {
		case "/ok":
			_, _ = w.Write(good)
		case "/large":
			_, _ = w.Write(append(bytes.Clone(good), make([]byte, 1<<20)...))
		case "/wide":
			_, _ = w.Write(wide)
		case "/page":
			_, _ = io.WriteString(w, "<html>")
		case "/svg":
			w.Header().Set("Content-Type", "image/svg+xml")
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(host.Close)
	c := newChannel(t, adaptertest.Options{})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	for n, tt := range []struct{ attachment, problem string }{
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/ok"}`, ""},
		{`{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","version":"1.5","body":[{"type":"ColumnSet","columns":[{"items":[{"type":"Image","url":"` + host.URL + `/ok"}]}]}]}}`, ""},
		{`{"contentType":"image/png","contentUrl":"data:image/png;base64,` + base64.StdEncoding.EncodeToString(good) + `"}`, ""},
		{`{"contentType":"image/png","contentUrl":"data:image/png,x"}`, "no base64"},
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/gone"}`, "the answer is not 200"},
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/moved"}`, "the answer is not 200"},
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/svg"}`, "neither PNG, JPEG nor GIF"},
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/large"}`, "larger than 1 MiB"},
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/wide"}`, "wider or higher than 1024 pixels"},
		{`{"contentType":"image/png","contentUrl":"` + host.URL + `/page"}`, "no picture"},
		{`{"contentType":"image/png","contentUrl":"http://127.0.0.1:0/"}`, "no answer"},
	} {
		id := k.send(v, `{"type":"message","attachments":[`+tt.attachment+`]}`).id()
		if err := c.Wait(t.Context(), func() bool { return len(v.Pictures()) > n }); err != nil {
			t.Fatal(err)
		}
		p := v.Pictures()[n]
		if p.MessageID != id || p.Problem != tt.problem || tt.problem == "" && !bytes.Equal(p.Data, good) {
			t.Errorf("%s: %+v", tt.attachment, p)
		}
	}
	k.send(v, `{"type":"message","attachments":[{"contentType":"image/png","contentUrl":"https://elsewhere.example/a.png"}]}`)
	if n := len(v.Pictures()); n != 11 {
		t.Errorf("%d pictures, want none of another host", n)
	}
}
