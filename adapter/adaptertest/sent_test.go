package adaptertest_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/adapter/adaptertest"
)

func TestWhatBotsSendIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sent.jsonl")
	t.Setenv("ADAPTERTEST_SENT", path)
	c, d := newChannel(t, adaptertest.Options{}), newChannel(t, adaptertest.Options{})
	chat := c.Personal(c.AddUser(adaptertest.User{Name: "Mia Khan"}))
	k := newCaller(t, c)
	id := k.say(chat, "kept").id()
	k.do(http.MethodPut, activities(chat, id), `{"type":"message","text":"changed"}`)
	k.send(chat, `{"type":`)
	k.do(http.MethodGet, "v3/conversations/"+chat.ID()+"/members", "")
	k = newCaller(t, d)
	k.say(d.Personal(d.AddUser(adaptertest.User{Name: "Jonas Weber"})), "of another channel")

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(raw)) {
		var s struct {
			Name, Method, Path string
			Activity           *struct{ Text string }
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.Name, "adaptertest, exchange ") || !strings.Contains(s.Path, "/activities") {
			t.Errorf("line %s", line)
		}
		if s.Activity == nil {
			got = append(got, s.Method+" none")
			continue
		}
		got = append(got, s.Method+" "+s.Activity.Text)
	}
	if want := "POST kept, PUT changed, POST none, POST of another channel"; strings.Join(got, ", ") != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}
