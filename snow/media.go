package snow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	opMedia      = "media"
	mediaTimeout = time.Minute
	maxRedirects = 5
	maxFileName  = 255 // bytes
)

// Where an instance keeps files, by path. Everything else there is not for the employee: with our token, which sees more than they
// may, it is never asked for.
var (
	mediaPath      = regexp.MustCompile(`^/api/now/(v\d+/)?cs/media/[\w./-]+$`)
	attachmentPath = regexp.MustCompile(`^/api/now/(v\d+/)?attachment/[0-9a-fA-F]{32}/file$`)
	picturePath    = regexp.MustCompile(`(?i)\.(iix|(png|jpe?g|gif|bmp|webp)x?)$`) // also of the tables of images: x.pngx
	recordID       = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
)

// IsMedia reports whether an address that ServiceNow sent, which may be relative, is that of a file on the instance: media of a
// chat (/api/now/v1/cs/media/…), an attachment (sys_attachment.do?sys_id=…, or the Attachment API's), or a picture by its ending.
func (c *Client) IsMedia(raw string) bool {
	_, ok := c.media(raw)
	return ok
}

// MediaOf returns the absolute address of the file that an item is, for [Client.FetchMedia], and "" when it is none. A file is a picture or
// link of the instance, or a text that is nothing but the address of one.
func (c *Client) MediaOf(it Item) string {
	raw := ""
	switch it.Kind {
	case KindImage, KindLink:
		raw = it.URL
	case KindText:
		if raw = strings.TrimSpace(it.Text); !strings.HasPrefix(raw, "/") && !strings.Contains(raw, "://") {
			raw = "" // a word such as picture.png
		}
	}
	if raw == "" || !c.IsMedia(raw) {
		return ""
	}
	abs, _ := c.Resolve(raw)
	return abs
}

// media returns from where a file of the instance is fetched.
func (c *Client) media(raw string) (*url.URL, bool) {
	abs, own := c.Resolve(raw)
	if !own || strings.ContainsFunc(raw, unicode.IsSpace) {
		return nil, false
	}
	u, err := url.Parse(abs)
	if err != nil || strings.Contains(u.Path, "..") || strings.ContainsAny(u.Path, `\%;`) || strings.Contains(u.Path, "//") {
		return nil, false
	}
	u.Fragment = ""
	switch {
	case u.Path == "/sys_attachment.do":
		id := u.Query().Get("sys_id")
		// The page is for people; the Attachment API has the same bytes and takes our token for certain.
		return c.base.JoinPath("/api/now/attachment", id, "file"), recordID.MatchString(id)
	case mediaPath.MatchString(u.Path), attachmentPath.MatchString(u.Path):
		return u, true
	case strings.HasPrefix(strings.ToLower(u.Path), "/api/"):
		return nil, false
	}
	return u, picturePath.MatchString(u.Path)
}

// FetchMedia gets a file of the instance, of at most limit bytes, under our token, with the name and the media type that the instance
// gives. The name is never empty, and has neither a path nor anything invisible; where nothing is said of the type, or
// something is called a picture that is none, the bytes decide. An address that is not one of [Client.IsMedia], and a redirect to one,
// is not called: the error wraps [ErrNotMedia]. It takes as long as ctx allows, but no longer than a minute.
//
// Fetching changes nothing, so that it may be repeated after any failure: Written is false in each [*Error].
func (c *Client) FetchMedia(ctx context.Context, address string, limit int64) (data []byte, name, contentType string, err error) {
	ctx, cancel := context.WithTimeout(ctx, mediaTimeout)
	defer cancel()
	a, at, err := c.fetch(ctx, address, limit)
	if err != nil {
		return nil, "", "", err
	}
	disposition, params, _ := mime.ParseMediaType(a.header.Get("Content-Disposition"))
	name = cleanName(params["filename"])
	if name == "" {
		var metadata struct {
			Name json.RawMessage `json:"file_name"`
		}
		_ = json.Unmarshal([]byte(a.header.Get(metadataHeader)), &metadata)
		said, _ := jsonString(metadata.Name)
		name = cleanName(said)
	}
	contentType = typeOfMedia(a.header.Get("Content-Type"), a.body, name)
	if contentType == "text/html" && disposition == "" && a.header.Get(metadataHeader) == "" { // asks for a login, or says to come back later
		return nil, "", "", &Error{Op: opMedia, StatusCode: a.status, NotJSON: true}
	}
	if last := path.Base(at.Path); name == "" && picturePath.MatchString(last) {
		name = cleanName(last)
	}
	if minor, ok := strings.CutPrefix(contentType, "image/"); name == "" && ok {
		name = cleanName("image." + strings.Replace(minor, "jpeg", "jpg", 1))
	}
	if name == "" {
		name = "file"
	}
	return a.body, name, contentType, nil
}

// metadataHeader is where the Attachment API says what it has of a file.
const metadataHeader = "X-Attachment-Metadata"

// fetch follows an address to the file.
func (c *Client) fetch(ctx context.Context, address string, limit int64) (answer, *url.URL, error) {
	for range maxRedirects + 1 {
		u, ok := c.media(address)
		if !ok {
			return answer{}, nil, &Error{Op: opMedia, Err: ErrNotMedia}
		}
		a, err := c.exchange(ctx, call{op: opMedia, method: http.MethodGet, url: u, file: true, limit: limit})
		if err != nil {
			return answer{}, nil, unwritten(err)
		}
		failed := &Error{Op: opMedia, StatusCode: a.status, RetryAfter: askedToWait(a.status, a.header, c.now())}
		switch a.status {
		case http.StatusOK:
			if e := a.header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
				failed.Err = errBroken // gzip was asked for and has been undone
				return answer{}, nil, failed
			}
			return a, u, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			next, err := u.Parse(a.header.Get("Location"))
			if err != nil || a.header.Get("Location") == "" {
				failed.Err = ErrNotMedia
				return answer{}, nil, failed
			}
			address = next.String()
			continue
		case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
			failed.Err = ErrMediaGone
		}
		return answer{}, nil, failed
	}
	return answer{}, nil, &Error{Op: opMedia, Err: errors.New("too many redirects")}
}

// unwritten turns the error of an exchange into that of a fetch, which has no effect.
func unwritten(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Op == opToken {
		return err
	}
	fetch := *e
	fetch.Written = false
	if errors.Is(e.Err, errTooLong) {
		fetch.Err = ErrMediaTooLarge
	}
	return &fetch
}

// Kinds of files by the ending of their names, where the bytes do not tell them apart: parts in a ZIP archive, Microsoft's
// compound files, and text.
var (
	inZIP = map[string]string{
		".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
		".odt":  "application/vnd.oasis.opendocument.text",
		".ods":  "application/vnd.oasis.opendocument.spreadsheet",
		".odp":  "application/vnd.oasis.opendocument.presentation",
	}
	compound = map[string]string{
		".doc": "application/msword",
		".xls": "application/vnd.ms-excel",
		".ppt": "application/vnd.ms-powerpoint",
		".msg": "application/vnd.ms-outlook",
	}
	inText = map[string]string{".csv": "text/csv", ".rtf": "application/rtf"}
)

// compoundMark is what a compound file begins with.
const compoundMark = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// typeOfMedia is the media type that was answered, unless that says nothing, or a picture that it is not. What the bytes are decides
// then, and the ending of the name among what looks the same.
func typeOfMedia(answered string, data []byte, name string) string {
	media, _, _ := mime.ParseMediaType(answered)
	found, _, _ := mime.ParseMediaType(http.DetectContentType(data))
	switch media {
	case "image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/bmp":
		return found
	case "", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download":
	default:
		return media
	}
	kinds := map[string]string(nil)
	switch {
	case found == "application/zip":
		kinds = inZIP
	case found == "text/plain":
		kinds = inText
	case bytes.HasPrefix(data, []byte(compoundMark)):
		kinds = compound
	}
	if kind, ok := kinds[strings.ToLower(path.Ext(name))]; ok {
		return kind
	}
	return found
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
