package snowtest_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"snowbot/snow/snowtest"

	"github.com/google/go-cmp/cmp"
)

// column returns one column of the rows of a result.
func column(a answer, name string) []any {
	var got []any
	list, _ := a.object["result"].([]any)
	for _, r := range list {
		got = append(got, r.(object)[name])
	}
	return got
}

func TestTableUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{Users: []snowtest.User{
		{SysID: "1", Name: "Mia Khan", UserName: "mia", Email: "mia.khan@example.com"},
		{SysID: "2", Name: "Old Khan", UserName: "old", Email: "old.khan@example.com", Inactive: true},
		{SysID: "3", Name: "Zoe Lee", UserName: "zoe", Email: "zoe@example.com", Locked: true},
	}})
	const path = "/api/now/table/sys_user?sysparm_query="
	for query, want := range map[string][]any{
		"email=mia.khan@example.com^active=true": {"1"},
		"email=MIA.KHAN@example.com":             {"1"},
		"email=old.khan@example.com^active=true": nil,
		"nameLIKEkhan^ORDERBYDESCname":           {"2", "1"},
		"user_nameSTARTSWITHm^ORuser_name=zoe":   {"1", "3"},
		"sys_idIN1,3":                            {"1", "3"},
		"sys_id>1^sys_id<=2":                     {"2"},
		"locked_out!=false":                      {"3"},
		"emailISEMPTY":                           nil,
		"emailISNOTEMPTY^sys_id>=3":              {"3"},
		"no_such_column=x":                       {"1", "2", "3"}, // ignored, so everything is found
	} {
		a := s.get(path + url.QueryEscape(query))
		if diff := cmp.Diff(want, column(a, "sys_id")); diff != "" || a.status != http.StatusOK {
			t.Errorf("%s: status %d, %s", query, a.status, diff)
		}
	}
	a := s.get(path + "active%3Dtrue&sysparm_fields=sys_id,email&sysparm_limit=1&sysparm_offset=1")
	want := object{"result": []any{object{"sys_id": "3", "email": "zoe@example.com"}}}
	if diff := cmp.Diff(want, a.object); diff != "" || a.header.Get("X-Total-Count") != "2" {
		t.Errorf("total %s, %s", a.header.Get("X-Total-Count"), diff)
	}
	if a := s.get(path + "email%3Dnobody"); a.status != http.StatusOK || a.raw != `{"result":[]}` {
		t.Errorf("empty: %d %s", a.status, a.raw)
	}
	if a := s.get("/api/now/v1/table/sys_user?email=nobody"); a.status != http.StatusNotFound {
		t.Errorf("empty in version 1: %d", a.status)
	}
	if a := s.get("/api/now/v2/table/sys_user/2"); a.object["result"].(object)["name"] != "Old Khan" {
		t.Errorf("one: %s", a.raw)
	}
	for path, status := range map[string]int{
		"/api/now/table/sys_user/none": http.StatusNotFound, "/api/now/table/none": http.StatusBadRequest, "/api/none": http.StatusBadRequest,
		"/login.do": http.StatusNotFound,
	} {
		if a := s.get(path); a.status != status {
			t.Errorf("%s: status %d, want %d", path, a.status, status)
		}
	}
}

func TestTablesOfAChat(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newSite(t, snowtest.Options{Now: c.Now, TokenTTL: 24 * time.Hour})
	id := s.live()
	messageID, err := s.Say(t.Context(), id, "hello")
	if err != nil {
		t.Fatal(err)
	}
	chat := s.chat(id)
	conv := s.get("/api/now/table/sys_cs_conversation?sysparm_query=session.device_id%3Ds-1&sysparm_exclude_reference_link=true")
	if diff := cmp.Diff([]any{id, "inProgress", chat.InteractionID},
		append(append(column(conv, "sys_id"), column(conv, "state")...), column(conv, "interaction")...)); diff != "" {
		t.Error(diff)
	}
	inter := s.get("/api/now/table/interaction?sysparm_query=channel_metadata_document%3D" + id)
	if diff := cmp.Diff([]any{chat.InteractionID, "work_in_progress"}, append(column(inter, "sys_id"), column(inter, "state")...)); diff != "" {
		t.Error(diff)
	}
	query := url.QueryEscape("conversation=" + id + "^is_agent=true^direction=outbound^ORDERBYsys_created_on")
	messages := s.get("/api/now/table/sys_cs_message?sysparm_query=" + query)
	if diff := cmp.Diff([]any{messageID, "hello", "true"},
		append(append(column(messages, "sys_id"), column(messages, "payload")...), column(messages, "is_agent")...)); diff != "" {
		t.Error(diff)
	}
	if err := s.End(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/api/now/table/interaction/" + chat.InteractionID).object["result"].(object)["state"]; got != "closed_complete" {
		t.Errorf("state %v", got)
	}
	if got := column(s.get("/api/now/table/sys_cs_conversation"), "state"); got[0] != "completed" {
		t.Errorf("state %v", got)
	}
}

func TestTableAvailability(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	const path = "/api/now/table/awa_agent_presence_capacity?aca_available=true"
	if got := column(s.get(path), "ac_channel"); len(got) != 1 {
		t.Errorf("available: %v", got)
	}
	if err := s.SetNoAgents(snowtest.NoAgentsText); err != nil {
		t.Fatal(err)
	}
	if a := s.get(path); a.raw != `{"result":[]}` {
		t.Errorf("got %s", a.raw)
	}
}

func TestIncident(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	post := func(body string, headers ...string) answer {
		return s.must(http.MethodPost, "/api/now/table/incident", body,
			append([]string{"Authorization", s.bearer(), "Content-Type", "application/json"}, headers...)...)
	}
	a := post(`{"short_description":"Chat request: Pay","caller_id":"42","urgency":3,"correlation_id":"c-1","nonsense":"x"}`)
	result := a.object["result"].(object)
	id, _ := result["sys_id"].(string)
	if a.status != http.StatusCreated || a.header.Get("Location") != s.URL()+"/api/now/table/incident/"+id || !isID(id) {
		t.Errorf("status %d, location %s", a.status, a.header.Get("Location"))
	}
	got := []any{result["number"], result["urgency"], result["caller_id"], result["assignment_group"], result["nonsense"]}
	want := []any{"INC0010001", "3", object{"link": s.URL() + "/api/now/table/sys_user/42", "value": "42"}, "", nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	found := s.get("/api/now/table/incident?sysparm_query=correlation_id%3Dc-1")
	if diff := cmp.Diff([]any{"INC0010001"}, column(found, "number")); diff != "" {
		t.Error(diff)
	}
	if a := post(`{}`, "X-No-Response-Body", "true"); a.status != http.StatusCreated || a.raw != "" {
		t.Errorf("without a body: %d %q", a.status, a.raw)
	}
	if list := s.Incidents(); len(list) != 2 || list[0]["caller_id"] != "42" {
		t.Errorf("incidents %v", list)
	}
	for name, a := range map[string]answer{"malformed": post("{"), "null": post("null"), "type": post("{}", "Content-Type", "text/xml")} {
		if a.status/100 != 4 {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
	if a := s.must(http.MethodPost, "/api/now/table/interaction", "{}", "Authorization", s.bearer()); a.status != http.StatusForbidden {
		t.Errorf("interaction: status %d", a.status)
	}
}

func TestAttachmentAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	made := s.must(http.MethodPost, "/api/now/table/incident", "{}", "Authorization", s.bearer(), "Content-Type", "application/json")
	incident := made.object["result"].(object)["sys_id"].(string)
	file := "/api/now/attachment/file?table_name=incident&file_name=a.txt&table_sys_id="
	a := s.must(http.MethodPost, file+incident, "words", "Authorization", s.bearer(), "Content-Type", "text/plain")
	result, _ := a.object["result"].(object)
	if a.status != http.StatusCreated || result["size_bytes"] != "5" || a.header.Get("Location") == "" {
		t.Errorf("status %d %s", a.status, a.raw)
	}
	if got := s.get("/api/now/attachment/" + result["sys_id"].(string)); got.object["result"].(object)["file_name"] != "a.txt" {
		t.Errorf("metadata %s", got.raw)
	}
	if got := s.get("/api/now/attachment/" + result["sys_id"].(string) + "/file"); got.raw != "words" || got.header.Get("X-Attachment-Metadata") == "" {
		t.Errorf("file %q", got.raw)
	}
	for path, status := range map[string]int{
		file + "none": http.StatusNotFound, "/api/now/attachment/file?table_name=incident": http.StatusBadRequest,
	} {
		if a := s.must(http.MethodPost, path, "x", "Authorization", s.bearer(), "Content-Type", "text/plain"); a.status != status {
			t.Errorf("%s: status %d, want %d", path, a.status, status)
		}
	}
	if a := s.form("/api/now/attachment/upload", []string{"table_name", "incident", "table_sys_id", incident, "file", "b.txt"}); a.status != http.StatusCreated {
		t.Errorf("upload: %d %s", a.status, a.raw)
	}
	if a := s.form("/api/now/attachment/upload", []string{"table_name", "incident", "file", "b.txt", "table_sys_id", incident}); a.status != http.StatusBadRequest {
		t.Errorf("file not last: %d", a.status)
	}
	if diff := cmp.Diff([]string{"a.txt", "b.txt"}, s.Files(incident)); diff != "" {
		t.Error(diff)
	}
}

// form posts a multipart form of pairs; the value of file is a file's name.
func (s *site) form(path string, pairs []string) answer {
	s.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for n := 0; n < len(pairs); n += 2 {
		if pairs[n] == "file" {
			part, _ := w.CreateFormFile("file", pairs[n+1])
			_, _ = part.Write([]byte("file of " + pairs[n+1]))
			continue
		}
		_ = w.WriteField(pairs[n], pairs[n+1])
	}
	_ = w.Close()
	return s.must(http.MethodPost, path, b.String(), "Authorization", s.bearer(), "Content-Type", w.FormDataContentType())
}

func TestAttachmentsOfUsers(t *testing.T) {
	t.Parallel()
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer file-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("PNG"))
	}))
	t.Cleanup(files.Close) // after the parallel sub-tests
	message := func(file object) object {
		return object{"message": object{"text": "", "typed": true, "clientMessageId": "m-f", "attachment": file}}
	}
	picture := func(address string) object {
		return object{
			"contentType": "image/png", "fileName": "a.png", "url": address,
			"headers": object{"Authorization": "Bearer file-token"},
		}
	}
	t.Run("FetchedFromTrustedHosts", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{TrustedMedia: []string{"127.0.0.1"}})
		id := s.live()
		s.bot(say("1", "", message(picture(files.URL+"/a.png"))))
		l, err := s.line(id, "a.png")
		if err != nil || l.File == nil || string(l.File.Data) != "PNG" {
			t.Fatalf("%+v, %v", l, err)
		}
		p := s.wait(4)[3]
		it := p.items()[0]
		if it["label"] != "File got" || it["value"] != nil || !strings.Contains(p.raw, "Bearer file-token") {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("DroppedFromOtherHosts", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{TrustedMedia: []string{"example.com"}})
		id := s.live()
		if a := s.bot(say("1", "", message(picture(files.URL+"/a.png")))); a.status != http.StatusOK {
			t.Errorf("status %d", a.status)
		}
		if note := s.last().Note; note != "attachment dropped, its host is not trusted" || len(s.chat(id).Lines) != 2 {
			t.Errorf("note %q, lines %v", note, s.chat(id).Lines)
		}
	})
	t.Run("FromUploadedMedia", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		a := s.form("/api/now/v1/cccif/media/upload", []string{"user_id", "u-1", "file", "c.txt"})
		result, _ := a.object["result"].(object)
		address, _ := result["mediaUrl"].(string)
		if a.status != http.StatusCreated || result["state"] != "pending" {
			t.Fatalf("%d %s", a.status, a.raw)
		}
		if got := s.get(strings.TrimPrefix(address, s.URL())); got.raw != "file of c.txt" {
			t.Errorf("media %q", got.raw)
		}
		s.bot(say("1", "", message(object{"contentType": "text/plain", "fileName": "c.txt", "url": address})))
		if l, err := s.line(id, "c.txt"); err != nil || string(l.File.Data) != "file of c.txt" {
			t.Errorf("%+v, %v", l, err)
		}
		page := "/sys_attachment.do?sys_id=" + address[strings.LastIndex(address, "/")+1:]
		if got := s.get(page); got.raw != "file of c.txt" || got.header.Get("Content-Disposition") != "attachment; filename=c.txt" {
			t.Errorf("attachment %q, %v", got.raw, got.header)
		}
		if got := s.must(http.MethodGet, page, ""); got.status != http.StatusUnauthorized {
			t.Errorf("without a login: %d", got.status)
		}
		if a := s.form("/api/now/v1/cccif/media/upload", []string{"file", "c.txt"}); a.status != http.StatusBadRequest {
			t.Errorf("without user_id: %d", a.status)
		}
	})
	t.Run("EvenAnEmptyKeyLosesTheMessageInOldVersions", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Version: "3.14.1"})
		id := s.live()
		s.bot(say("1", "words", object{"message": object{"text": "words", "attachment": nil}}))
		if got := s.chat(id).Said(snowtest.FromUser); len(got) != 1 {
			t.Errorf("said %v", got)
		}
		s.bot(say("2", "words"))
		if got := s.chat(id).Said(snowtest.FromUser); len(got) != 2 {
			t.Errorf("said %v", got)
		}
	})
}
