package adapter

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// contentTypeDownload is the attachment that Teams makes of a file sent with the paper clip in a personal chat.
const contentTypeDownload = "application/vnd.microsoft.teams.file.download.info"

// maxFileName bounds the name of a file, in bytes. File systems take no longer one.
const maxFileName = 255

// A FileRef says where a file is that came with a message, and is good for [Connector.FetchFile] for a short time only: Teams'
// addresses of files end within minutes or hours. Encoded as JSON it can be kept meanwhile, and like a
// password: whoever has the address may have the file.
type FileRef struct {
	// Name is never empty, has no path, nothing that is invisible or changes the direction of writing, and at most 255 bytes.
	Name string `json:"name"`
	// ContentType is a media type without parameters as Teams or the name's ending declares it, and "" when neither does. What was
	// fetched may turn out to be something else.
	ContentType string `json:"contentType,omitempty"`
	URL         string `json:"url,omitempty"` // "" when Teams names a file and no way to it
	// Token says that the Connector hands the file out, which wants the bot's token. Others get none.
	Token bool `json:"token,omitempty"`
}

// LogValue is what a logger shows: neither name nor address.
func (r FileRef) LogValue() slog.Value { return slog.StringValue(r.String()) }

// String is the type and nothing else of the file.
func (r FileRef) String() string { return "file of type " + r.ContentType }

// GoString is String.
func (r FileRef) GoString() string { return r.String() }

// NameFor is the name with an ending for what turned out to be of that type, where it has none: "image.png" for a picture that was
// pasted. Who gets a file decides by the ending what to do with it, and ServiceNow whether to take it.
func (r FileRef) NameFor(contentType string) string {
	if path.Ext(r.Name) != "" {
		return r.Name
	}
	for ending, t := range officeTypes {
		if t.name == contentType && ending != "jpeg" {
			return cleanName(r.Name + "." + ending)
		}
	}
	return r.Name
}

// Files returns the files and pictures that the user sent along, in their order. Cards, and the text/html copy of a message's
// text, are not among them. In group chats and channels Teams hands bots no files but pasted pictures.
func (a *Activity) Files() []FileRef {
	var files []FileRef
	for i := range a.Attachments {
		if ref, ok := a.Attachments[i].file(); ok {
			files = append(files, ref)
		}
	}
	return files
}

func (t *Attachment) file() (FileRef, bool) {
	if strings.EqualFold(strings.TrimSpace(t.ContentType), contentTypeDownload) {
		var content struct{ DownloadURL, FileType json.RawMessage }
		_ = json.Unmarshal(t.Content, &content) // names match without case; what is no object says nothing
		ref := FileRef{Name: cleanName(t.Name), URL: strings.TrimSpace(textOf(content.DownloadURL))}
		ending := cleanName(textOf(content.FileType))
		if ref.Name == "" {
			ref.Name = "file"
		}
		if path.Ext(ref.Name) == "" && ending != "" {
			ref.Name = cleanName(ref.Name + "." + ending)
		}
		ref.ContentType = officeTypes[extension(ref.Name)].name
		return ref, true
	}
	media := mediaType(t.ContentType)
	major, minor, _ := strings.Cut(media, "/")
	switch {
	case minor == "", media == contentTypeHTML, strings.HasPrefix(minor, "vnd.microsoft."):
		return FileRef{}, false
	case t.ContentURL == "" && major != "image":
		return FileRef{}, false
	}
	ref := FileRef{Name: cleanName(t.Name), ContentType: media, URL: strings.TrimSpace(t.ContentURL), Token: true}
	if minor == "*" { // what Teams calls a picture that was pasted
		ref.ContentType, minor = "", ""
	}
	if ref.Name == "" {
		ref.Name = "file"
		if major == "image" {
			ref.Name = cleanName(strings.TrimSuffix("image."+strings.Replace(minor, "jpeg", "jpg", 1), "."))
		}
	}
	return ref, true
}

// cleanName makes of a name that somebody gave a file one that can be shown and stored anywhere: its last element, without what
// is invisible or changes the direction of writing, and short. It is "" when nothing is left.
func cleanName(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	s = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`:*?"<>|`, r):
			return '_'
		case r == '\u200c', r == '\u200d': // of Persian and Indian words, and emoji
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, s)
	s = strings.Trim(s, ". \u00a0\u3000\u200c\u200d")
	if len(s) <= maxFileName {
		return s
	}
	ending := path.Ext(s)
	if len(ending) > 32 { // no ending, but a dot in a sentence
		ending = ""
	}
	n := maxFileName - len(ending)
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], ". ") + ending
}

func extension(name string) string { return strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")) }

// mediaType is the media type of a Content-Type, in lower case and without parameters, and "" when that is none.
func mediaType(s string) string {
	media, _, _ := mime.ParseMediaType(s) // parameters that are broken do not matter
	if !strings.Contains(media, "/") || len(media) > 127 {
		return ""
	}
	return media
}

// An officeType is a media type that the bytes of a file alone do not give away: to them it is only a kind of what sniffing finds.
type officeType struct{ name, kind string }

const (
	kindZIP  = "application/zip"
	kindText = "text/plain"
	kindOLE  = "application/octet-stream" // and begins with oleMark
	oleMark  = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
)

// officeTypes are media types by the ending of a name. Those without a kind are known by their bytes.
var officeTypes = map[string]officeType{
	"docx": {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", kindZIP},
	"xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", kindZIP},
	"pptx": {"application/vnd.openxmlformats-officedocument.presentationml.presentation", kindZIP},
	"odt":  {"application/vnd.oasis.opendocument.text", kindZIP},
	"ods":  {"application/vnd.oasis.opendocument.spreadsheet", kindZIP},
	"odp":  {"application/vnd.oasis.opendocument.presentation", kindZIP},
	"doc":  {"application/msword", kindOLE},
	"xls":  {"application/vnd.ms-excel", kindOLE},
	"ppt":  {"application/vnd.ms-powerpoint", kindOLE},
	"msg":  {"application/vnd.ms-outlook", kindOLE},
	"csv":  {"text/csv", kindText},
	"rtf":  {"application/rtf", kindText},
	"txt":  {kindText, ""},
	"zip":  {kindZIP, ""},
	"pdf":  {"application/pdf", ""},
	"png":  {"image/png", ""},
	"jpg":  {"image/jpeg", ""},
	"jpeg": {"image/jpeg", ""},
	"gif":  {"image/gif", ""},
	"webp": {"image/webp", ""},
}

// typeOfFile is the media type of a file: the one that was answered, unless that says nothing, or a picture that it is not. What the
// bytes are decides then, and the ending of the name among what looks the same.
func typeOfFile(answered string, data []byte, name string) string {
	media, found := mediaType(answered), mediaType(http.DetectContentType(data))
	switch media {
	case "image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/bmp":
		return found
	case "", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download":
	default:
		return media
	}
	t := officeTypes[extension(name)]
	if t.kind != found || t.kind == kindOLE && !bytes.HasPrefix(data, []byte(oleMark)) {
		return found
	}
	return t.name
}
