package adapter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	const word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	const picture = "https://smba.trafficmanager.net/emea/v3/attachments/0-a/views/original"
	for _, tt := range []struct {
		name, attachments string
		want              []adapter.FileRef
	}{
		{"none", ``, nil},
		{
			"the paper clip", `{"contentType":"application/vnd.microsoft.teams.file.download.info","contentUrl":"https://contoso-my.sharepoint.com/personal/a.docx",
			"name":"a.docx","content":{"downloadUrl":"https://contoso-my.sharepoint.com/x?tempauth=1","uniqueId":"1","fileType":"docx","etag":""}}`,
			[]adapter.FileRef{{Name: "a.docx", ContentType: word, URL: "https://contoso-my.sharepoint.com/x?tempauth=1"}},
		},
		{
			"its type in odd case, and a name without ending", `{"contentType":"Application/VND.microsoft.teams.file.download.info","name":"plan","content":{"DownloadUrl":"https://u","FileType":"DOCX"}}`,
			[]adapter.FileRef{{Name: "plan.DOCX", ContentType: word, URL: "https://u"}},
		},
		{
			"an ending that nobody knows", `{"contentType":"application/vnd.microsoft.teams.file.download.info","name":"a.xyz","content":{"downloadUrl":"https://u","fileType":"xyz"}}`,
			[]adapter.FileRef{{Name: "a.xyz", URL: "https://u"}},
		},
		{
			"without a way to it", `{"contentType":"application/vnd.microsoft.teams.file.download.info","name":"a.pdf"}`,
			[]adapter.FileRef{{Name: "a.pdf", ContentType: "application/pdf"}},
		},
		{"without anything", `{"contentType":"application/vnd.microsoft.teams.file.download.info","content":[]}`, []adapter.FileRef{{Name: "file"}}},
		{
			"content of other types", `{"contentType":"application/vnd.microsoft.teams.file.download.info","name":7,"content":{"downloadUrl":{"a":1},"fileType":3}}`,
			[]adapter.FileRef{{Name: "file"}},
		},
		{
			"a pasted picture beside its HTML", `{"contentType":"image/*","contentUrl":"` + picture + `"},
			{"contentType":"text/html","content":"<p><img src=\"https://eu-api.asm.skype.com/v1/objects/0-a/views/imgo\"></p>"}`,
			[]adapter.FileRef{{Name: "image", URL: picture, Token: true}},
		},
		{
			"pictures of a known type, in order", `{"contentType":"IMAGE/JPEG; q=1","contentUrl":"https://a"},{"contentType":"image/png","contentUrl":"https://b","name":"b.png"}`,
			[]adapter.FileRef{{Name: "image.jpg", ContentType: "image/jpeg", URL: "https://a", Token: true}, {Name: "b.png", ContentType: "image/png", URL: "https://b", Token: true}},
		},
		{"a picture without a way to it", `{"contentType":"image/png"}`, []adapter.FileRef{{Name: "image.png", ContentType: "image/png", Token: true}}},
		{"another file that the Connector keeps", `{"contentType":"audio/mp4","contentUrl":"https://a"}`, []adapter.FileRef{{Name: "file", ContentType: "audio/mp4", URL: "https://a", Token: true}}},
		{"cards and copies", `{"contentType":"text/html","contentUrl":"https://a"},{"contentType":"application/vnd.microsoft.card.adaptive","content":{},"contentUrl":"https://a"},
			{"contentType":"application/vnd.microsoft.teams.card.file.info","contentUrl":"https://a"},{"contentType":"reference","contentUrl":"https://a"},
			{"contentType":"application/json","content":{}},{"contentUrl":"https://a"},{"contentType":"/","contentUrl":"https://a"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := decode(t, `{"type":"message","attachments":[`+tt.attachments+`]}`)
			got := a.Files()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Files (-want +got):\n%s", diff)
			}
			kept, err := json.Marshal(got)
			var back []adapter.FileRef
			if err != nil || json.Unmarshal(kept, &back) != nil || !cmp.Equal(got, back) {
				t.Errorf("JSON %s gives %+v, %v", kept, back, err)
			}
		})
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 500)
	for in, want := range map[string]string{
		"report.pdf": "report.pdf", "": "image.png", " ": "image.png", ".": "image.png", "..": "image.png", "/": "image.png", "a/": "image.png",
		"../../etc/passwd": "passwd", `C:\Users\x\a.txt`: "a.txt", "a/../b.txt": "b.txt", `..\..`: "image.png", ".bashrc": "bashrc", "a.txt. .": "a.txt",
		"a\r\nX: y.txt": "aX_ y.txt", "a\x00b\x7f\u0085.txt": "ab.txt", "x\u202efdp.exe": "xfdp.exe", "\u2066a\u2069.txt": "a.txt", "a\u200b\ufeffb": "ab", "a\u2028b\u2029": "ab",
		"می\u200cخواهم.txt": "می\u200cخواهم.txt", "👩\u200d💻.png": "👩\u200d💻.png", "\u200d": "image.png", "契約\u3000書.pdf": "契約\u3000書.pdf",
		`a<b>:"|?*.txt`: "a_b______.txt", "a\xff\xfe.txt": "a\ufffd.txt", "a\ue000b": "ab", "100%25.txt": "100%25.txt",
		long + ".docx":                long[:250] + ".docx",
		"a" + long + ".docx":          "a" + long[:248] + ".docx", // no half a letter
		long + "." + long:             long[:254],
		strings.Repeat("x", 255):      strings.Repeat("x", 255),
		strings.Repeat("x. ", 999):    strings.TrimRight(strings.Repeat("x. ", 85), ". "),
		strings.Repeat("\u202e", 1e5): "image.png",
	} {
		a := adapter.Activity{Attachments: []adapter.Attachment{{ContentType: "image/png", ContentURL: "https://a", Name: in}}}
		if got := a.Files()[0].Name; got != want {
			t.Errorf("the name %.60q became %.300q, want %.300q", in, got, want)
		}
	}
}

func TestFileNameFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, contentType, want string }{
		{"image", "image/png", "image.png"},
		{"image", "image/jpeg", "image.jpg"},
		{"image", "image/heic", "image"},
		{"image", "", "image"},
		{"a.b", "image/png", "a.b"},
		{"file", "application/pdf", "file.pdf"},
		{strings.Repeat("x", 255), "application/pdf", strings.Repeat("x", 251) + ".pdf"},
	} {
		if got := (adapter.FileRef{Name: tt.name}).NameFor(tt.contentType); got != tt.want {
			t.Errorf("%q as %s is called %q, want %q", tt.name, tt.contentType, got, tt.want)
		}
	}
}

func TestFileRefTellsLogsNothing(t *testing.T) {
	t.Parallel()
	ref := adapter.FileRef{Name: "salary.pdf", ContentType: "application/pdf", URL: "https://contoso-my.sharepoint.com/x?tempauth=secret"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "file", ref)
	for _, s := range []string{log.String(), fmt.Sprint(ref), fmt.Sprintf("%+v %#v", ref, &ref), fmt.Sprintf("%+v", struct{ F []adapter.FileRef }{[]adapter.FileRef{ref}})} {
		if strings.Contains(s, "salary") || strings.Contains(s, "secret") || !strings.Contains(s, "application/pdf") {
			t.Errorf("%s", s)
		}
	}
}

func FuzzFiles(f *testing.F) {
	for _, s := range []string{
		`{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.teams.file.download.info","name":"a/b\u202e.docx","content":{"downloadUrl":"https://u","fileType":"docx"}}]}`,
		`{"type":"message","attachments":[{"contentType":"image/*","contentUrl":"https://u"},{"contentType":"text/html","content":"x"},null,{}]}`,
		`{"type":"message","attachments":{"contentType":"image/svg+xml","contentUrl":"data:,","name":"..."}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := adapter.DecodeActivity(raw)
		if err != nil {
			return
		}
		files := a.Files()
		if len(files) > len(a.Attachments) {
			t.Errorf("%d files of %d attachments", len(files), len(a.Attachments))
		}
		for _, ref := range files {
			n := ref.Name
			if n == "" || len(n) > 255 || !utf8.ValidString(n) || path.Base(n) != n || n == "." || n == ".." || strings.ContainsAny(n, `/\:*?"<>|`) {
				t.Errorf("the name %q", n)
			}
			if i := strings.IndexFunc(n, func(r rune) bool {
				return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
			}); i >= 0 {
				t.Errorf("the name %q has what cannot be seen", n)
			}
			if strings.ContainsAny(ref.ContentType, "; \r\n*") || ref.ContentType != strings.ToLower(ref.ContentType) {
				t.Errorf("the type %q", ref.ContentType)
			}
			kept, err := json.Marshal(ref)
			var back adapter.FileRef
			if err != nil || json.Unmarshal(kept, &back) != nil || back.Name != ref.Name || back.Token != ref.Token {
				t.Errorf("JSON %s, %v", kept, err)
			}
		}
	})
}
