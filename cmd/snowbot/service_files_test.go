package main

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/snow/snowtest"
)

// fileRig is a rig whose service has an address of its own, so that files pass.
func fileRig(t *testing.T, o snowtest.Options) *rig {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	o.TrustedMedia = []string{"127.0.0.1"}
	return newRig(t, o, "LISTEN_ADDR="+addr, "PUBLIC_URL=http://"+addr)
}

// gets waits until the agent has the file, and checks it.
func (r *rig) gets(c snowtest.Chat, want adaptertest.File) {
	r.t.Helper()
	var got *snowtest.File
	if _, err := r.snow.WaitChat(r.within(), func(x snowtest.Chat) bool {
		i := slices.IndexFunc(x.Lines, func(l snowtest.Line) bool { return l.File != nil && l.File.Name == want.Name })
		if x.ID != c.ID || i < 0 {
			return false
		}
		got = x.Lines[i].File
		return true
	}); err != nil {
		r.t.Fatalf("the agent never got %s: %v\n%s", want.Name, err, r.logs.String())
	}
	if !bytes.Equal(got.Data, want.Data) || got.ContentType != want.ContentType {
		r.t.Errorf("the agent got %d bytes of %s, want %d of %s", len(got.Data), got.ContentType, len(want.Data), want.ContentType)
	}
}

// posts has the employee send files, and demands that they are accepted.
func (r *rig) posts(text string, files ...adaptertest.File) {
	r.t.Helper()
	for _, f := range files {
		r.logs.watch.Secret(f.Name, string(f.Data[:min(len(f.Data), 64)]))
	}
	if p, err := r.chat.SendFiles(r.within(), r.mia, text, files...); err != nil || !p.OK() {
		r.t.Fatalf("send %q: status %d, %v\n%s", text, p.Status, err, r.logs.String())
	}
}

// drawing is a small picture.
func drawing(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 16, 16))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// linkTo finds the address of a file in what Teams shows.
var linkTo = regexp.MustCompile(`http://127\.0\.0\.1:\d+/files/[\w-]{43}`)

func TestServicePassesFilesBothWays(t *testing.T) {
	t.Parallel()
	for _, dialect := range []snowtest.Dialect{snowtest.DialectOfficial, snowtest.DialectSpec} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			r := fileRig(t, snowtest.Options{Dialect: dialect})
			c := r.connect()
			report := adaptertest.File{Name: "Überstunden 日本 report.pdf", ContentType: "application/pdf", Data: []byte("%PDF-1.7 words of a person")}
			large := adaptertest.File{Name: "as large as may be.zip", ContentType: "application/zip", Data: bytes.Repeat([]byte("PK\x03\x04"), 10<<20/4)}
			r.posts("see these two", report, large)
			r.gets(c, report)
			r.gets(c, large)
			r.says("after the files")
			r.hears(c, "after the files")
			photo := drawing(t)
			if p, err := r.chat.Paste(r.within(), r.mia, "", adaptertest.File{Data: photo, ContentType: "image/png"}); err != nil || !p.OK() {
				t.Fatalf("paste: %+v, %v", p, err)
			}
			r.gets(c, adaptertest.File{Name: "image.png", ContentType: "image/png", Data: photo})
			chat, err := r.snow.Chat(c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := chat.Said(snowtest.FromUser)[1:]; !slices.Equal(got, []string{"see these two", report.Name, large.Name, "after the files", "image.png"}) {
				t.Errorf("the agent sees %q", got)
			}

			r.posts("", adaptertest.File{Name: "eleven megabytes.zip", ContentType: "application/zip", Data: make([]byte, 11<<20)})
			r.sees("eleven megabytes.zip is too large to be passed on: a file may have 10 MB at most.")
			r.hears(c, bot.TextsFor("en").Say(bot.TextAttachmentNotRelayed))
			r.posts("", adaptertest.File{Name: "page.html", ContentType: "text/html", Data: []byte("<html><script>alert(1)</script></html>")})
			r.sees("page.html is not a kind of file that can be passed on to the agent.")

			if _, err := r.snow.SendFile(r.within(), c.ID, "router.png", "image/png", photo); err != nil {
				t.Fatal(err)
			}
			if _, err := r.snow.SendFile(r.within(), c.ID, "how to.pdf", "application/pdf", report.Data); err != nil {
				t.Fatal(err)
			}
			r.sees(`how to\.pdf`)
			var picture, link string
			for _, m := range r.chat.Messages() {
				for _, a := range m.Attachments {
					if m.FromBot && a.ContentType == "image/png" {
						picture = a.ContentURL
					}
				}
				if m.FromBot && strings.Contains(m.Text, `how to\.pdf`) {
					link = linkTo.FindString(m.Text)
				}
			}
			acknowledged := slices.ContainsFunc(r.snow.Log(), func(x snowtest.Exchange) bool {
				return x.Direction == snowtest.Out && strings.Contains(x.RequestBody, `"File got"`)
			})
			shown := slices.ContainsFunc(r.chat.Messages(), func(m adaptertest.Message) bool { return m.FromBot && m.Shows("File got") })
			if !acknowledged || shown {
				t.Errorf("ServiceNow acknowledged a file: %t; the employee was shown that as a message: %t", acknowledged, shown)
			}
			r.downloads(picture, "image/png", "inline; filename=router.png", photo)
			r.downloads(link, "application/pdf", `attachment; filename="how to.pdf"`, report.Data)
			if status := r.get(link[:len(link)-43] + strings.Repeat("A", 43)); status != http.StatusNotFound {
				t.Errorf("a link that nobody was given: status %d, want 404", status)
			}
		})
	}
}

// downloads opens a link as a browser does, and checks what comes.
func (r *rig) downloads(link, contentType, how string, want []byte) {
	r.t.Helper()
	if !linkTo.MatchString(link) {
		r.t.Errorf("%q is no link to a file; Teams shows %+v", link, r.chat.Messages())
		return
	}
	r.logs.watch.Secret(link[len(link)-43:])
	res, err := http.Get(link) //nolint:noctx // loopback
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if h := res.Header; err != nil || !bytes.Equal(data, want) || h.Get("Content-Type") != contentType || h.Get("Content-Disposition") != how {
		r.t.Errorf("the link leads to %d bytes of %q, %q, %v", len(data), h.Get("Content-Type"), h.Get("Content-Disposition"), err)
	}
}

func TestServiceKilledBetweenAcceptanceOfAFileAndItsPull(t *testing.T) {
	t.Parallel()
	r := fileRig(t, snowtest.Options{})
	c := r.connect()
	r.hears(c, "Can I talk to a person, please?")
	if err := r.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	file := adaptertest.File{Name: "accepted before the kill.txt", ContentType: "text/plain", Data: []byte("still here")}
	r.posts("and words with it", file)
	r.kill()
	if err := r.snow.SetDown(snowtest.DownOff); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.hears(c, "and words with it")
	r.gets(c, file)

	// What Teams does not have any more is told, and holds nothing up.
	if err := r.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	r.posts("one more", adaptertest.File{Name: "gone.txt", ContentType: "text/plain", Data: []byte("gone by then")})
	r.kill()
	r.teams.ExpireFiles()
	if err := r.snow.SetDown(snowtest.DownOff); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.sees("gone.txt can no longer be fetched from Teams. Please send it again.")
	r.says("and on it goes")
	r.hears(c, "and on it goes")
}
