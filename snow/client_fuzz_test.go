package snow_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/snow"
)

// FuzzReply feeds answers of any kind to every decoder of answers. A call either succeeds or gives a *Error that repeats
// nothing of the answer; a refusal is never taken for a success.
func FuzzReply(f *testing.F) {
	for _, body := range []string{
		"", "null", `"x"`, "[]", `{"status":"success"}`, `{"status":"failure","error":{"message":"a","detail":null}}`,
		`{"result":{"status":"failure"}}`, `{"result":[{"sys_id":"1","email":"a@b.c","conversation":{"value":"x"}}]}`,
		`{"body":[{"uiType":"OutputText"}]}`, "<html>", "Message Processed Successfully", "\ufeff{}", `{"error":"server_error"}`,
		`{"result":{"number":"INC1"}}`, "\xff", `{"status":{"status":"failure"}}`, strings.Repeat("[", 20000),
	} {
		f.Add(uint16(200), body)
		f.Add(uint16(400), body)
	}
	var answer fakeAnswer
	instance := fakeInstance{api: func(int, *http.Request, []byte) fakeAnswer { return answer }}
	c := newFakeClient(f, &instance, func(o *snow.ClientOptions) {
		o.Accept, o.Log = func(context.Context, *snow.Event) error { return nil }, nil
	})
	f.Fuzz(func(t *testing.T, status uint16, body string) {
		answer = fakeAnswer{status: 200 + int(status)%400, body: body}
		instance.calls = nil
		ctx := context.Background()
		said := c.Say(ctx, testChat, hello)
		_, user := c.FindUser(ctx, testEmail)
		_, incident := c.CreateIncident(ctx, snow.Incident{CorrelationID: "c"})
		_, messages := c.ReadBack(ctx, "s", time.Time{})
		report := c.Report(ctx, testChat, "r", []snow.Receipt{{MessageID: "m"}})
		for _, err := range []error{said, user, incident, messages, report} {
			var e *snow.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%T", err)
			}
			if err != nil && len(err.Error()) > 150 {
				t.Errorf("error repeats the answer: %s", err)
			}
		}
		var ack struct{ Status string }
		if json.Unmarshal([]byte(body), &ack) == nil && ack.Status == "failure" && said == nil {
			t.Errorf("status %d, %q taken for a success", answer.status, body)
		}
		if answer.status >= 300 && said == nil {
			t.Errorf("status %d taken for a success", answer.status)
		}
	})
}
