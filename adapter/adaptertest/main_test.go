package adaptertest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = os.Unsetenv("ADAPTERTEST_SENT") // what these tests send is no bot's
	goleak.VerifyTestMain(m)
}

// sharedKey saves the tests from making one for each channel.
var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newChannel starts a channel that ends with the test.
func newChannel(t testing.TB, o adaptertest.Options) *adaptertest.Channel {
	t.Helper()
	key, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	o.Key = key
	c, err := adaptertest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A clock stands still until it is moved.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.at.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }

// A bot keeps what it was posted and answers 200, or whatever answer says.
type bot struct {
	answer func(w http.ResponseWriter, a map[string]any)

	mu   sync.Mutex
	got  []map[string]any
	auth []string
}

func newBot(t testing.TB, c *adaptertest.Channel) *bot {
	t.Helper()
	b := new(bot)
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	c.SetBot(s.URL + "/api/messages")
	return b
}

func (b *bot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a map[string]any
	_ = json.NewDecoder(r.Body).Decode(&a)
	b.mu.Lock()
	b.got = append(b.got, a)
	b.auth = append(b.auth, r.Header.Get("Authorization"))
	b.mu.Unlock()
	if b.answer != nil {
		b.answer(w, a)
	}
}

func (b *bot) activities() []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]map[string]any(nil), b.got...)
}

func (b *bot) texts() []any {
	var texts []any
	for _, a := range b.activities() {
		texts = append(texts, a["text"])
	}
	return texts
}

// An answer is what a route answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code returns error.code of the body.
func (a answer) code() string {
	var e struct{ Error struct{ Code string } }
	_ = json.Unmarshal(a.body, &e)
	return e.Error.Code
}

func (a answer) id() string {
	var e struct{ ID string }
	_ = json.Unmarshal(a.body, &e)
	return e.ID
}

// A caller calls Connector routes with a live token, on connections of its own.
type caller struct {
	t      testing.TB
	c      *adaptertest.Channel
	client *http.Client
	header http.Header
}

func newCaller(t testing.TB, c *adaptertest.Channel) *caller {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, c: c, client: &http.Client{Transport: transport}, header: http.Header{
		"Authorization": {"Bearer " + c.AccessToken()}, "Content-Type": {"application/json"},
	}}
}

func (k *caller) try(method, path, body string) (answer, error) {
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.c.ServiceURL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	req.Header = k.header.Clone()
	resp, err := k.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b}, err
}

func (k *caller) do(method, path, body string) answer {
	k.t.Helper()
	a, err := k.try(method, path, body)
	if err != nil {
		k.t.Fatal(err)
	}
	return a
}

// activities is the path of the activities of v, with the ids of one below it.
func activities(v *adaptertest.Conversation, below ...string) string {
	p := "v3/conversations/" + url.PathEscape(v.ID()) + "/activities"
	for _, b := range below {
		p += "/" + url.PathEscape(b)
	}
	return p
}

func (k *caller) send(v *adaptertest.Conversation, body string) answer {
	k.t.Helper()
	return k.do(http.MethodPost, activities(v), body)
}

func (k *caller) say(v *adaptertest.Conversation, text string) answer {
	k.t.Helper()
	b, err := json.Marshal(map[string]string{"type": "message", "text": text})
	if err != nil {
		k.t.Fatal(err)
	}
	return k.send(v, string(b))
}

func shown(v *adaptertest.Conversation) []string {
	texts := []string{}
	for _, m := range v.Messages() {
		texts = append(texts, m.Text)
	}
	return texts
}
