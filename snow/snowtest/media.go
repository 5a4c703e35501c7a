package snowtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// maxFile bounds a file, in bytes. A real instance takes a gigabyte.
const maxFile = maxBody

// media keeps files, whether they came as attachments of a record or as media of a chat.
type media struct {
	mu    sync.Mutex
	files map[string]*stored
	order []string
}

type stored struct {
	id, name, contentType string
	table, record         string
	data                  []byte
}

func (m *media) put(f *stored, keep int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = make(map[string]*stored)
	}
	m.files[f.id] = f
	m.order = append(m.order, f.id)
	if len(m.order) > keep {
		delete(m.files, m.order[0])
		m.order = m.order[1:]
	}
}

func (m *media) get(id string) *stored {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[id]
}

// AddFile stores a file of the agent and returns its address relative to the instance. Reading it needs a login.
func (i *Instance) AddFile(name, contentType string, data []byte) (path string) {
	f := &stored{id: newID(), name: name, contentType: contentType, data: bytes.Clone(data)}
	i.media.put(f, i.o.KeepLast)
	return mediaPath + f.id
}

// Files returns the names of the files stored with one record, by its sys_id.
func (i *Instance) Files(sysID string) []string {
	i.media.mu.Lock()
	defer i.media.mu.Unlock()
	var names []string
	for _, id := range i.media.order {
		if f := i.media.files[id]; f.record == sysID {
			names = append(names, f.name)
		}
	}
	return names
}

const (
	mediaPath      = "/api/now/v1/cs/media/"
	attachmentPage = "/sys_attachment.do"
)

// mediaRoute answers the attachment API and the media of chats.
func (i *Instance) mediaRoute(r *request) (reply, bool) {
	path := strings.Replace(r.URL.Path, "/api/now/v1/", "/api/now/", 1)
	switch {
	case path == "/api/now/attachment/file" && r.Method == http.MethodPost:
		return i.attachFile(r), true
	case path == "/api/now/attachment/upload" && r.Method == http.MethodPost:
		return i.attachUpload(r), true
	case path == "/api/now/cccif/media/upload" && r.Method == http.MethodPost:
		return i.mediaUpload(r), true
	case r.Method != http.MethodGet:
		return reply{}, false
	case path == attachmentPage:
		return i.fileBytes(r.query.Get("sys_id")), true
	}
	if id, ok := strings.CutPrefix(path, "/api/now/cs/media/"); ok {
		return i.fileBytes(id), true
	}
	if id, ok := strings.CutPrefix(path, "/api/now/attachment/"); ok {
		id, isFile := strings.CutSuffix(id, "/file")
		f := i.media.get(id)
		if f == nil || isFile {
			return i.fileBytes(id), true
		}
		return answerJSON(http.StatusOK, map[string]any{"result": i.metadata(f)}), true
	}
	return reply{}, false
}

func (i *Instance) fileBytes(id string) reply {
	f := i.media.get(id)
	if f == nil {
		return failure(http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
	}
	rep := answer(http.StatusOK, f.contentType, f.data)
	rep.header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
	if b, err := json.Marshal(i.metadata(f)); err == nil {
		rep.header.Set("X-Attachment-Metadata", string(b))
	}
	return rep
}

// metadata has nothing but strings in it, numbers included.
func (i *Instance) metadata(f *stored) map[string]string {
	return map[string]string{
		"sys_id": f.id, "file_name": f.name, "content_type": f.contentType, "size_bytes": strconv.Itoa(len(f.data)),
		"table_name": f.table, "table_sys_id": f.record, "download_link": i.URL() + "/api/now/attachment/" + f.id + "/file",
	}
}

func (i *Instance) store(f *stored) reply {
	if f.table == "" || f.record == "" || f.name == "" {
		return failure(http.StatusBadRequest, "Invalid parameters", "table_name, table_sys_id and a file name are mandatory")
	}
	found := false
	for _, have := range i.rows(f.table, "") {
		found = found || text(have["sys_id"]) == f.record
	}
	if !found {
		return failure(http.StatusNotFound, "No Record found", "The record to attach to does not exist")
	}
	f.id = newID()
	i.media.put(f, i.o.KeepLast)
	rep := answerJSON(http.StatusCreated, map[string]any{"result": i.metadata(f)})
	rep.header.Set("Location", i.URL()+"/api/now/attachment/"+f.id)
	return rep
}

func (i *Instance) attachFile(r *request) reply {
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		return failure(http.StatusBadRequest, "Invalid parameters", "Content-Type is mandatory")
	}
	return i.store(&stored{
		name: r.query.Get("file_name"), contentType: contentType, data: r.body,
		table: r.query.Get("table_name"), record: r.query.Get("table_sys_id"),
	})
}

func (i *Instance) attachUpload(r *request) reply {
	f, fields, err := readForm(r)
	if err != nil {
		return failure(http.StatusBadRequest, "Invalid parameters", err.Error())
	}
	f.table, f.record = fields["table_name"], fields["table_sys_id"]
	return i.store(f)
}

func (i *Instance) mediaUpload(r *request) reply {
	f, fields, err := readForm(r)
	if err != nil {
		return failure(http.StatusBadRequest, "Invalid parameters", err.Error())
	}
	if fields["user_id"] == "" {
		return failure(http.StatusBadRequest, "Invalid parameters", "user_id is mandatory")
	}
	f.id = newID()
	i.media.put(f, i.o.KeepLast)
	return answerJSON(http.StatusCreated, map[string]any{"result": map[string]string{
		"mediaUrl": i.URL() + mediaPath + f.id, "name": f.name, "state": "pending", "attachmentId": f.id,
	}})
}

// readForm reads a multipart form, whose file must be the last part.
func readForm(r *request) (*stored, map[string]string, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, nil, fmt.Errorf("content type %q is no multipart form", kind)
	}
	parts := multipart.NewReader(bytes.NewReader(r.body), params["boundary"])
	fields := make(map[string]string)
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, nil, fmt.Errorf("the form has no file: %w", err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, err
		}
		if part.FileName() == "" {
			fields[part.FormName()] = string(data)
			continue
		}
		if _, err := parts.NextPart(); err == nil {
			return nil, nil, fmt.Errorf("the file is not the last part")
		}
		return &stored{name: part.FileName(), contentType: part.Header.Get("Content-Type"), data: data}, fields, nil
	}
}

// attach fetches the files of a user's message and shows them to the agent. A file from a host that is not trusted is
// dropped, and nobody is told.
func (i *Instance) attach(conv *conversation, c *call) (note string) {
	at := i.o.Now()
	for _, a := range c.attachments {
		if a.URL == "" || a.FileName == "" || a.ContentType == "" {
			note = "attachment dropped, a field is missing"
			continue
		}
		if !i.trustedMedia(a.URL) {
			note = "attachment dropped, its host is not trusted"
			continue
		}
		i.do(conv.person, func(ctx context.Context) {
			data, err := i.fetch(ctx, a)
			if err != nil {
				i.o.Log.Warn("attachment not fetched", "session", c.sessionID)
				return
			}
			_ = i.run(ctx, conv, func() ([]*post, error) {
				conv.add(&Line{
					ID: newID(), From: FromUser, Text: a.FileName, At: at, RequestID: c.requestID,
					ClientMessageID: c.clientMessageID, File: &File{Name: a.FileName, ContentType: a.ContentType, Data: data},
				}, i.o.KeepLast)
				got := textItem("")
				delete(got, "value")
				got["label"], got["itemType"] = i.o.Texts.FileGot, "outputtext"
				return []*post{{items: []item{got}, agentChat: true, status: statusActive}}, nil
			})
		})
	}
	return note
}

func (i *Instance) trustedMedia(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return false
	}
	if u.Host == i.server.addr {
		return true
	}
	for _, domain := range i.o.TrustedMedia {
		if u.Hostname() == domain || strings.HasSuffix(u.Hostname(), "."+domain) {
			return true
		}
	}
	return false
}

func (i *Instance) fetch(ctx context.Context, a attachment) ([]byte, error) {
	if id, ok := strings.CutPrefix(a.URL, i.URL()+mediaPath); ok {
		if f := i.media.get(id); f != nil {
			return f.data, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, i.o.CallbackTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range a.Headers {
		req.Header.Set(name, value)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("file: status %d", resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("file is larger than %d bytes", maxFile)
	}
	return data, err
}
