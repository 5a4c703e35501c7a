package snow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
)

// tables answers the Table API by path; anything else is 404.
func tables(answers map[string]fakeAnswer) *fakeInstance {
	return &fakeInstance{api: func(_ int, r *http.Request, _ []byte) fakeAnswer {
		if a, ok := answers[r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/api/now/table/")]; ok {
			return a
		}
		return fakeAnswer{status: 404, body: `{"error":{"message":"No Record found","detail":""},"status":"failure"}`}
	}}
}

func parameters(t *testing.T, k fakeCall) url.Values {
	t.Helper()
	v, err := url.ParseQuery(k.query)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFindUserChecksWhatComesBack(t *testing.T) {
	t.Parallel()
	f := tables(map[string]fakeAnswer{"GET sys_user": {body: `{"result":[
		{"sys_id":"u1","user_name":"mia","email":"Mia.Khan@example.com","name":"Mia Khan","active":"true","locked_out":"false"},
		{"sys_id":"u2","email":"someone.else@example.com","active":"true"},
		{"sys_id":"u3","email":"mia.khan@example.com","active":"false"},
		{"sys_id":"u4","email":"mia.khan@example.com","locked_out":true},
		{"sys_id":"u5"}, {}, null]}`}})
	c := newFakeClient(t, f)
	got, err := c.FindUser(t.Context(), " "+testEmail)
	if err != nil {
		t.Fatal(err)
	}
	want := []snow.User{
		{SysID: "u1", UserName: "mia", Email: "Mia.Khan@example.com", Name: "Mia Khan"},
		{SysID: "u4", Email: "mia.khan@example.com", Locked: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("users (-want +got):\n%s", d)
	}
	if got := parameters(t, f.called()[0]).Get("sysparm_query"); got != "email=mia.khan@example.com^active=true" {
		t.Errorf("query %q", got)
	}
}

func TestQueriesTakeNoConditions(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		"", " ", "a@b.c^ORemailISNOTEMPTY", "^", "javascript:gs.getUserID()", " JavaScript:1", "a@b.c\n^active=false", "a\x00",
	} {
		f := tables(map[string]fakeAnswer{"GET sys_user": {body: `{"result":[{"sys_id":"u1","email":"a@b.c"}]}`}})
		c := newFakeClient(t, f)
		if got, err := c.FindUser(t.Context(), evil); err != nil || got != nil || len(f.called()) != 0 {
			t.Errorf("FindUser(%q) = %v, %v after %d calls", evil, got, err, len(f.called()))
		}
		if got, err := c.ReadBack(t.Context(), evil, time.Time{}); err != nil && evil != " " || got.Found {
			t.Errorf("ReadBack(%q) = %v, %v", evil, got, err)
		}
	}
}

func TestTableFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer fakeAnswer
		want   snow.Error
		ping   bool // succeeds all the same
	}{
		{"page", fakeAnswer{body: "<html>" + testWords}, snow.Error{StatusCode: 200, NotJSON: true}, false},
		{"no result", fakeAnswer{body: `{"status":"success"}`}, snow.Error{StatusCode: 200}, false},
		{"result of another kind", fakeAnswer{body: `{"result":{"a":"b"}}`}, snow.Error{StatusCode: 200}, false},
		{"hidden", fakeAnswer{status: 403, body: `{"error":{"message":"` + testWords + `"},"status":"failure"}`}, snow.Error{StatusCode: 403}, true},
		{"forbidden by a proxy", fakeAnswer{status: 403, body: "<html>"}, snow.Error{StatusCode: 403}, false},
		{"throttled", fakeAnswer{status: 429, header: http.Header{"Retry-After": {"9"}}}, snow.Error{StatusCode: 429, RetryAfter: 9 * time.Second}, false},
		{"down", fakeAnswer{status: 503}, snow.Error{StatusCode: 503}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newFakeClient(t, tables(map[string]fakeAnswer{"GET sys_user": tt.answer}))
			_, err := c.FindUser(t.Context(), testEmail)
			var got *snow.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			noSecrets(t, err.Error())
			tt.want.Op, tt.want.Written, tt.want.Err = "user", true, got.Err
			if *got != tt.want {
				t.Errorf("%+v, want %+v", *got, tt.want)
			}
			if err := c.Ping(t.Context()); (err == nil) != tt.ping {
				t.Errorf("ping: %v", err)
			}
		})
	}
}

func TestCreateIncident(t *testing.T) {
	t.Parallel()
	incident := snow.Incident{
		CorrelationID: "c-1", ShortDescription: "Chat request: Pay", Description: "<line>\nline", CallerSysID: "u1",
		Extra: map[string]string{"urgency": "3", "correlation_id": "evil", "caller_id": "evil"},
	}
	made := fakeAnswer{status: 201, body: `{"result":{"sys_id":"i1","number":"INC0010123","caller_id":{"link":"x","value":"u1"}}}`}
	const found = `{"result":[{"number":"INC0000007","correlation_id":"c-1"}]}`
	for _, tt := range []struct {
		name    string
		look    fakeAnswer
		post    fakeAnswer
		want    string
		posts   int
		wantErr bool
	}{
		{"the first time", fakeAnswer{body: `{"result":[]}`}, made, "INC0010123", 1, false},
		{"again", fakeAnswer{body: found}, made, "INC0000007", 0, false},
		{"column unknown, so all tickets come", fakeAnswer{body: `{"result":[{"number":"INC1"}]}`}, made, "INC0010123", 1, false},
		{"tickets are hidden", fakeAnswer{status: 403, body: `{"status":"failure"}`}, made, "INC0010123", 1, false},
		{"cannot look", fakeAnswer{status: 503}, made, "", 0, true},
		{"refused", fakeAnswer{body: `{"result":[]}`}, fakeAnswer{status: 403, body: `{"status":"failure"}`}, "", 1, true},
		{"number is hidden", fakeAnswer{body: `{"result":[]}`}, fakeAnswer{status: 201, body: `{"result":{}}`}, "", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := tables(map[string]fakeAnswer{"GET incident": tt.look, "POST incident": tt.post})
			c := newFakeClient(t, f)
			got, err := c.CreateIncident(t.Context(), incident)
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
			posts := 0
			for _, k := range f.called() {
				if k.method != http.MethodPost {
					continue
				}
				posts++
				var body map[string]string
				if err := json.Unmarshal(k.body, &body); err != nil {
					t.Fatal(err)
				}
				want := map[string]string{
					"short_description": "Chat request: Pay", "description": "<line>\nline", "caller_id": "u1",
					"contact_type": "chat", "correlation_id": "c-1", "urgency": "3",
				}
				if d := cmp.Diff(want, body); d != "" {
					t.Errorf("body (-want +got):\n%s", d)
				}
			}
			if posts != tt.posts {
				t.Errorf("%d tickets asked for, want %d", posts, tt.posts)
			}
		})
	}
}

func TestMessagesAreReadBack(t *testing.T) {
	t.Parallel()
	f := tables(map[string]fakeAnswer{
		"GET sys_cs_conversation": {body: `{"result":[{"sys_id":"c0ff","session.device_id":"s-1"},
			{"sys_id":"beef","session.device_id":"s-2"},{"sys_id":"dead"}]}`},
		"GET sys_cs_message": {body: `{"result":[
			{"sys_id":"m0","conversation":"c0ff","is_agent":"true","payload":"before","sys_created_on":"2026-03-01 12:00:00"},
			{"sys_id":"m1","conversation":"c0ff","is_agent":"true","payload":"one","sys_created_on":"2026-03-01 12:00:01"},
			{"sys_id":"m2","conversation":{"value":"c0ff"},"is_agent":"true","payload":"{\"message\":{\"text\":\"two\"}}","sys_created_on":"2026-03-01 12:00:01"},
			{"sys_id":"m3","conversation":"c0ff","is_agent":"true","payload":"{\"type\":\"System\",\"message\":\"Sam left\"}","sys_created_on":"2026-03-01 12:00:03"},
			{"sys_id":"m4","conversation":"c0ff","is_agent":"true","payload":"{\"typedText\":\"four\"}","sys_created_on":"2026-03-01 12:00:04"},
			{"sys_id":"m5","conversation":"c0ff","is_agent":"true","payload":"{not JSON}","sys_created_on":"2026-03-01 12:00:05"},
			{"sys_id":"m6","conversation":"c0ff","is_agent":"true","payload":"{\"a\":1}","sys_created_on":"2026-03-01 12:00:06"},
			{"sys_id":"m7","conversation":"c0ff","is_agent":"true","payload":"{\"uiType\":\"OutputLink\",\"label\":\"here\",\"value\":{\"action\":\"https://example.com/\"},\"messageId\":\"other\"}","sys_created_on":"2026-03-01 12:00:07"},
			{"sys_id":"m8","conversation":"c0ff","is_agent":"true","payload":"{\"content\":{\"label\":\"eight\"}}","sys_created_on":"2026-03-01 12:00:08"},
			{"sys_id":"mu","conversation":"c0ff","is_agent":"false","payload":"the user","sys_created_on":"2026-03-01 12:00:01"},
			{"sys_id":"mx","conversation":"beef","is_agent":"true","payload":"another chat","sys_created_on":"2026-03-01 12:00:01"}]}`},
	})
	c := newFakeClient(t, f)
	at := func(s int) time.Time { return time.Date(2026, 3, 1, 12, 0, s, 0, time.UTC) }
	got, err := c.ReadBack(t.Context(), "s-1", at(1).Add(900*time.Millisecond))
	message := func(second int, it snow.Item) snow.StoredMessage {
		return snow.StoredMessage{At: at(second), Items: []snow.Item{it}}
	}
	agent := func(id, text string) snow.Item {
		return snow.Item{ID: id, Kind: snow.KindText, Text: text, FromAgent: true}
	}
	want := snow.StoredChat{Found: true, Messages: []snow.StoredMessage{
		message(1, agent("m1", "one")),
		message(1, agent("m2", "two")),
		message(3, snow.Item{ID: "m3", Kind: snow.KindSystem, Text: "Sam left"}),
		message(4, agent("m4", "four")),
		message(5, agent("m5", "{not JSON}")),
		message(6, snow.Item{ID: "m6", Kind: snow.KindUnknown, Name: "stored", FromAgent: true}),
		message(7, snow.Item{ID: "m7", Kind: snow.KindLink, Name: "OutputLink", Text: "here", URL: "https://example.com/", FromAgent: true}),
		message(8, snow.Item{ID: "m8", Kind: snow.KindUnknown, Name: "stored", Text: "eight", FromAgent: true}),
	}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if n := len(f.called()); n != 2 {
		t.Errorf("%d calls: a conversation was read that is not ours", n)
	}
}

func TestMessagesAreReadInPages(t *testing.T) {
	t.Parallel()
	const all = 450
	f := &fakeInstance{api: func(_ int, r *http.Request, _ []byte) fakeAnswer {
		if strings.HasSuffix(r.URL.Path, "sys_cs_conversation") {
			return fakeAnswer{body: `{"result":[{"sys_id":"c0ff","session.device_id":"s-1"}]}`}
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("sysparm_offset"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("sysparm_limit"))
		var rows []string
		for i := from; i < min(from+limit, all); i++ {
			rows = append(rows, fmt.Sprintf(`{"sys_id":"m%d","conversation":"c0ff","is_agent":"true","sys_created_on":"2026-03-01 12:00:00"}`, i))
		}
		return fakeAnswer{body: `{"result":[` + strings.Join(rows, ",") + `]}`}
	}}
	got, err := newFakeClient(t, f).ReadBack(t.Context(), "s-1", time.Time{})
	if err != nil || len(got.Messages) != all {
		t.Fatalf("%d messages, %v, want %d", len(got.Messages), err, all)
	}
	for i, m := range got.Messages {
		if want := fmt.Sprintf("m%d", i); m.Items[0].ID != want {
			t.Fatalf("message %d is %s", i, m.Items[0].ID)
		}
	}
}

func TestReadBackSaysWhetherTheChatIsOver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rows  string
		found bool
		over  bool
	}{
		{"in progress", `{"sys_id":"c0ff","session.device_id":"s-1","state":"inProgress"}`, true, false},
		{"completed", `{"sys_id":"c0ff","session.device_id":"s-1","state":"completed"}`, true, true},
		{"canceled", `{"sys_id":"c0ff","session.device_id":"s-1","state":"canceled"}`, true, true},
		{"faulted", `{"sys_id":"c0ff","session.device_id":"s-1","state":"faulted"}`, true, true},
		{"a chat with the virtual agent came after", `{"sys_id":"c0ff","session.device_id":"s-1","state":"completed"},{"sys_id":"beef","session.device_id":"s-1","state":"inProgress"}`, true, true},
		{"somebody else's", `{"sys_id":"c0ff","session.device_id":"s-2","state":"completed"}`, false, false},
		{"hidden", ``, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := tables(map[string]fakeAnswer{
				"GET sys_cs_conversation": {body: `{"result":[` + tt.rows + `]}`},
				"GET sys_cs_message":      {body: `{"result":[]}`},
			})
			got, err := newFakeClient(t, f).ReadBack(t.Context(), "s-1", time.Time{})
			if err != nil || got.Found != tt.found || got.Over != tt.over {
				t.Errorf("%+v, %v, want found %t, over %t", got, err, tt.found, tt.over)
			}
		})
	}
}
