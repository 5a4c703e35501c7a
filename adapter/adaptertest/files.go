package adaptertest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

const (
	// downloadPath is where SharePoint has the files of people, by the query alone.
	downloadPath = "/personal/_layouts/15/download.aspx"
	downloadType = "application/vnd.microsoft.teams.file.download.info"
	keptFiles    = 256
)

// A File is a file of a person.
type File struct {
	Name        string
	ContentType string // application/octet-stream when empty, as the server of files says when it does not know
	Data        []byte
}

// files are those that people have sent.
type files struct {
	mu    sync.Mutex
	byID  map[string]*heldFile
	order []string
}

type heldFile struct {
	File
	secret string // of the address of a file sent with the paper clip; "" of a picture, which wants the bot's token
	until  time.Time
}

func (f *files) keep(id string, s *heldFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = map[string]*heldFile{}
	}
	f.byID[id] = s
	f.order = append(f.order, id)
	if len(f.order) > keptFiles {
		delete(f.byID, f.order[0])
		f.order = f.order[1:]
	}
}

func (f *files) find(id string) *heldFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID[id]
}

// SendFiles is Say with files from the paper clip. In a personal chat the bot gets an address of each that needs no token and
// is good for Options.FileLife; elsewhere Teams tells bots nothing of files.
func (v *Conversation) SendFiles(ctx context.Context, u User, text string, sent ...File) (Posted, error) {
	c := v.channel
	attachments := []any{}
	for _, f := range sent {
		if v.kind != Personal {
			break
		}
		id, s := c.guid(), &heldFile{File: f, secret: "v1." + c.id(120), until: c.now().Add(c.opt.FileLife)}
		s.Data = bytes.Clone(f.Data)
		c.files.keep(id, s)
		attachments = append(attachments, map[string]any{
			"contentType": downloadType, "name": f.Name,
			"contentUrl": c.URL() + "/personal/" + url.PathEscape(u.UPN) + "/Documents/Microsoft%20Teams%20Chat%20Files/" + url.PathEscape(f.Name),
			"content": map[string]any{
				"downloadUrl": c.URL() + downloadPath + "?UniqueId=" + id + "&Translate=false&tempauth=" + s.secret + "&ApiVersion=2.0",
				"uniqueId":    id, "fileType": strings.TrimPrefix(path.Ext(f.Name), "."), "etag": `"{` + strings.ToUpper(id) + `},1"`,
			},
		})
	}
	return v.SayWith(ctx, u, text, map[string]any{"attachments": attachments})
}

// Paste is Say with pictures from the clipboard. The bot gets an address of each that wants the bot's token, and neither a
// name nor the exact type.
func (v *Conversation) Paste(ctx context.Context, u User, text string, pictures ...File) (Posted, error) {
	c := v.channel
	attachments, copies := []any{}, ""
	for _, f := range pictures {
		id, s := "0-eus-d1-"+c.id(32), &heldFile{File: f}
		s.Data = bytes.Clone(f.Data)
		c.files.keep(id, s)
		attachments = append(attachments, map[string]any{
			"contentType": "image/*", "contentUrl": c.ServiceURL() + "v3/attachments/" + id + "/views/original",
		})
		// In the copy of the text it stands with an address that is of no use to bots.
		copies += `<p><img alt="image" src="https://eu-api.asm.skype.com/v1/objects/` + id + `/views/imgo" itemtype="http://schema.skype.com/AMSImage"></p>`
	}
	return v.say(ctx, u, text, map[string]any{"attachments": attachments}, copies)
}

// ExpireFiles ends all addresses of files given out so far, those of pictures included.
func (c *Channel) ExpireFiles() {
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	c.files.byID, c.files.order = nil, nil
}

// shownFiles are attachments of a person as the chat shows them.
func shownFiles(attachments any) []Attachment {
	var shown []Attachment
	if b, err := json.Marshal(attachments); err != nil || json.Unmarshal(b, &shown) != nil {
		return nil // what a test makes up shows as it is, in Raw
	}
	return shown
}

// download answers for a file of the paper clip. A token has no business there, and is refused as SharePoint refuses one of the Connector.
func (c *Channel) download(r *request) response {
	f := c.files.find(r.query.Get("UniqueId"))
	switch {
	case r.method != http.MethodGet:
		return notAllowed()
	case r.header.Get("Authorization") != "":
		return jsonResponse(http.StatusUnauthorized, map[string]string{"error_description": "Invalid issuer or signature."})
	case f == nil || f.secret == "":
		return response{status: http.StatusNotFound}
	case f.secret != r.query.Get("tempauth") || !r.at.Before(f.until):
		return response{status: http.StatusForbidden, contentType: "text/plain", body: []byte("403 FORBIDDEN")}
	}
	return f.answer()
}

// picture answers for a picture that was pasted.
func (c *Channel) picture(r *request, id string) response {
	if !c.authorized(r) {
		return jsonResponse(http.StatusUnauthorized, map[string]string{"message": "Authorization has been denied for this request."})
	}
	if r.method != http.MethodGet {
		return notAllowed()
	}
	f := c.files.find(id)
	if f == nil || f.secret != "" {
		return fail(http.StatusNotFound, "AttachmentNotFound", "The attachment was not found.")
	}
	return f.answer()
}

func (f *heldFile) answer() response {
	return response{status: http.StatusOK, contentType: cmp.Or(f.ContentType, "application/octet-stream"), body: f.Data, file: true}
}
