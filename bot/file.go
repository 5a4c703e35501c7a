package bot

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// FileRules say which files pass between the two sides, and how long the links to them work.
type FileRules struct {
	// Base is the address below which [Bot.File] is asked, such as https://snowbot.example.com/files. Without one no file is
	// passed on, and both sides are told.
	Base string
	// Most is how many bytes a file may have, [store.MaxFile] at most, which is also the default.
	Most int64
	// Total is how many bytes are kept of all files together, a little more while several come at once. Default 1 GiB.
	Total int64
	// Types are the content types that pass; "image/*" stands for all of its kind. By default pictures, documents, zip
	// archives, mp3 and mp4 pass, and nothing that a browser would run.
	Types []string
	// AgentLink and EmployeeLink are how long a link works after it was sent. Defaults 15 minutes and 24 hours.
	AgentLink, EmployeeLink time.Duration
}

// defaultFileTypes are what people send one another at work. What a browser would run is not among them.
func defaultFileTypes() []string {
	return []string{
		"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/heic", "image/tiff",
		"application/pdf", "text/plain", "text/csv", "application/rtf", "application/zip",
		"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.ms-outlook",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation",
		"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet",
		"application/vnd.oasis.opendocument.presentation",
		"audio/mpeg", "video/mp4",
	}
}

func (r FileRules) withDefaults() (FileRules, error) {
	if r.Most == 0 {
		r.Most = store.MaxFile
	}
	if r.Total == 0 {
		r.Total = 1 << 30
	}
	if r.Types == nil {
		r.Types = defaultFileTypes()
	}
	if r.AgentLink == 0 {
		r.AgentLink = 15 * time.Minute
	}
	if r.EmployeeLink == 0 {
		r.EmployeeLink = 24 * time.Hour
	}
	switch {
	case r.Most < 0 || r.Most > store.MaxFile:
		return r, fmt.Errorf("a file may have from one byte to %s", sizeText(store.MaxFile))
	case r.Total < r.Most:
		return r, errors.New("all files together may not have less than one")
	case r.AgentLink < time.Minute || r.EmployeeLink < time.Minute:
		return r, errors.New("links to files have to work for a minute or more")
	}
	for _, t := range r.Types {
		if kind, sub, ok := strings.Cut(t, "/"); !ok || kind == "" || sub == "" || strings.ContainsAny(t, " ;,") {
			return r, fmt.Errorf("%q is no content type, such as image/png or image/*", t)
		}
	}
	return r, nil
}

// on reports whether files are passed on.
func (r *FileRules) on() bool { return r.Base != "" }

// takes reports whether files of the content type are passed on.
func (r *FileRules) takes(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, "/")
	return slices.ContainsFunc(r.Types, func(t string) bool {
		return strings.EqualFold(t, contentType) || strings.EqualFold(t, kind+"/*")
	})
}

// link is the address of a token's file.
func (r *FileRules) link(token string) string { return strings.TrimSuffix(r.Base, "/") + "/" + token }

// otherNames are content types as Windows and old programs call them, and what else they are called.
var otherNames = map[string]string{
	"application/x-zip-compressed": "application/zip",
	"application/x-zip":            "application/zip",
	"application/x-pdf":            "application/pdf",
	"application/x-rtf":            "application/rtf",
	"text/rtf":                     "application/rtf",
	"application/csv":              "text/csv",
	"text/x-csv":                   "text/csv",
	"text/comma-separated-values":  "text/csv",
	"image/x-png":                  "image/png",
	"image/jpg":                    "image/jpeg",
	"image/pjpeg":                  "image/jpeg",
	"image/x-ms-bmp":               "image/bmp",
	"image/x-bmp":                  "image/bmp",
	"audio/mp3":                    "audio/mpeg",
	"audio/x-mp3":                  "audio/mpeg",
	"audio/x-mpeg":                 "audio/mpeg",
}

// plainType is a content type without parameters, by the name that it is registered under.
func plainType(said string) string {
	t, _, err := mime.ParseMediaType(said)
	if err != nil {
		return "application/octet-stream"
	}
	return firstOf(otherNames[t], t)
}

// sizeText is a size as people read it.
func sizeText(bytes int64) string {
	if bytes >= 1<<20 {
		return strconv.FormatFloat(float64(bytes)/(1<<20), 'f', -1, 64) + " MB"
	}
	return strconv.FormatInt(max(1, bytes>>10), 10) + " KB"
}

// fileToken is what the link to the file of a delivery ends in. It is the same at each try of the delivery, and nobody can make
// it up: it is an HMAC under a key of the store.
func fileToken(st store.Store, conversation, delivery string) string {
	return st.Mask("file/" + conversation + "/" + delivery)
}

// fileID is under what a token's file is kept. It is in clear there, and does not open the file.
func fileID(token string) string {
	sum := sha256.Sum256([]byte("snowbot file " + token))
	return hex.EncodeToString(sum[:])
}

// tokenBytes are those of an HMAC-SHA256.
const tokenBytes = sha256.Size

// File returns the file that a link leads to, by the last part of the link. The error is [store.ErrNotFound] when there never
// was one, or when its time is up.
func (b *Bot) File(ctx context.Context, token string) (store.File, error) {
	if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != tokenBytes {
		return store.File{}, store.ErrNotFound
	}
	return b.store.File(ctx, fileID(token))
}

// attached notes what came along with the words: files that are passed on, and whatever cannot be.
func (e *employeeEvent) attached(a *adapter.Activity, pass bool) {
	n := 0
	for i := range a.Attachments {
		if a.Attachments[i].ContentType != "text/html" { // the words once more
			n++
		}
	}
	if n == 0 {
		return
	}
	if pass {
		e.files = a.Files()
	}
	e.lost = len(e.files) < n
}

// pass sends the employee's files on, or holds them, each as a delivery of its own. One that is held is fetched meanwhile.
func (e *employeeEvent) pass(c *change, to store.Direction, s *session) {
	for i := range e.files {
		id := c.send(to, kindFile, s.ID, body{File: &e.files[i]})
		if to == store.Held {
			c.send(store.ToBot, kindFetch, s.ID, body{File: &e.files[i], For: id})
		}
	}
}

// said adds the employee's words and files to the transcript.
func (e *employeeEvent) said(c *change, text string) {
	if text != "" {
		c.say(fromEmployee, e.ref.UserName, text)
	}
	for _, f := range e.files {
		c.say(fromEmployee, e.ref.UserName, fileLine(f.Name))
	}
}

// left tells the employee that what came along with the words goes nowhere.
func (e *employeeEvent) left(c *change) {
	if e.lost || len(e.files) > 0 {
		c.notice(c.texts().Say(TextFileNotRelayed))
	}
}

// fileLine is a file in a transcript.
func fileLine(name string) string { return "file: " + name }

// unfetched tells both people of a file of the employee that was given up.
func (c *change) unfetched(session string, file *adapter.FileRef, why failure) {
	t, name := c.texts(), ""
	if file != nil {
		name = file.Name
	}
	told := t.Say(TextFileFailed, name)
	switch why {
	case failOver:
		told = t.Say(TextNoticeNotDeliveredOver)
	case failFilesOff:
		told = t.Say(TextFileNotRelayed)
	case failFileTooBig:
		told = t.Say(TextFileTooBig, name, sizeText(c.rules.Files.Most))
	case failFileType:
		told = t.Say(TextFileTypeRefused, name)
	case failFileGone:
		told = t.Say(TextFileExpired, name)
	default:
	}
	c.send(store.ToTeams, kindFailure, c.sessionID(), body{Activity: plain(told)})
	if c.state.live(session) && c.state.Session.Phase == connected {
		c.send(store.ToServiceNow, kindRemark, session, body{Text: c.agentTexts().Say(TextAttachmentNotRelayed)})
	}
}

// mediaOf returns the file of the instance that an item is, or nil.
func (r *Rules) mediaOf(it snow.Item) *media {
	if !r.Files.on() {
		return nil
	}
	url := r.Media(it)
	if url == "" {
		return nil
	}
	m := &media{URL: url}
	if it.Kind != snow.KindText { // whose text is the address
		m.Label = it.Text
	}
	return m
}
