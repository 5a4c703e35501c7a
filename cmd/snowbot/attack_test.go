package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"snowbot/snow/snowtest"
)

const (
	webhookPath  = "/api/v1/snowBot/receiveMessage"
	messagesPath = "/api/messages"
)

// A siege is a service with a live chat, under attack.
type siege struct {
	*rig
	live   snowtest.Chat
	before int // bytes held at the beginning
	proc   int
}

func besiege(t *testing.T, more ...string) *siege {
	t.Helper()
	s := &siege{rig: newRig(t, snowtest.Options{}, more...)}
	s.live = s.connect()
	s.before, s.proc = s.held(), s.rig.proc.Process.Pid
	return s
}

// stands checks that the chat goes on in both directions as if nothing had been, in the same process, which holds no more than it did.
func (s *siege) stands() {
	s.t.Helper()
	for i := range 3 {
		words := fmt.Sprintf("still here, says the employee the %d. time", i)
		s.says(words)
		s.hears(s.live, words)
	}
	answer := "and so is the agent"
	if _, err := s.snow.Say(s.within(), s.live.ID, answer); err != nil {
		s.t.Fatal(err)
	}
	s.sees(answer)
	if s.rig.proc.Process.Pid != s.proc || s.get("http://"+s.addr+"/readyz") != http.StatusOK {
		s.t.Error("the service is not the one that was attacked, or not ready")
	}
	if after := s.held(); after > s.before+64<<20 {
		s.t.Errorf("memory went from %d MB to %d MB", s.before>>20, after>>20)
	}
}

// held is what the process holds for itself, in bytes: heap and stacks, by its own metrics. What the race detector needs beside it would
// hide that from the system's figures.
func (s *siege) held() (bytes int) {
	s.t.Helper()
	for line := range strings.Lines(s.scrape()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "go_memstats_heap_inuse_bytes" || name == "go_memstats_stack_inuse_bytes" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			bytes += int(n)
		}
	}
	if bytes == 0 {
		s.t.Fatal("the metrics do not say how much memory there is")
	}
	return bytes
}

// scrape reads the metrics.
func (s *siege) scrape() string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.within(), http.MethodGet, "http://"+s.admin+"/metrics", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// sends writes bytes to the public port as they are, says that there are no more, and returns the statuses of all answers.
func (s *siege) sends(raw string) (statuses []int) {
	s.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.within(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, raw) // the service may hang up on what is too long
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	answers := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			return statuses
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if len(body) > 300 {
			s.t.Errorf("an answer of %d bytes: %.100s", len(body), body)
		}
		_, _ = s.logs.watch.Write(body)
		statuses = append(statuses, res.StatusCode)
	}
}

// request is the head of a request with a good secret, and then what is given.
func request(path, auth, rest string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + auth + "\r\nContent-Type: application/json\r\n" + rest
}

func TestServiceRefusesWhatIsNoHTTP(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	secret, token := "Bearer "+rigSecret, "Bearer "+s.teams.Token(s.teams.ServiceURL())
	const behind = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name, raw string
		want      []int // one of the statuses, of the one answer there is
	}{
		{"length and chunks, a request behind", request(webhookPath, secret, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+behind), []int{400}},
		{"chunks and length, a request behind", request(messagesPath, token, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"+behind), []int{400}},
		{"chunks alone, a request behind", request(webhookPath, secret, "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"+behind), []int{400}},
		{"two lengths", request(webhookPath, secret, "Content-Length: 2\r\nContent-Length: 60\r\n\r\n[]"+behind), []int{400}},
		{"a list of lengths", request(webhookPath, secret, "Content-Length: 2, 60\r\n\r\n[]"+behind), []int{400}},
		{"signed length", request(webhookPath, secret, "Content-Length: +2\r\n\r\n[]"), []int{400}},
		{"negative length", request(webhookPath, secret, "Content-Length: -2\r\n\r\n[]"), []int{400}},
		{"endless length", request(webhookPath, secret, "Content-Length: 99999999999999999999\r\n\r\n[]"), []int{400}},
		{"unknown encoding", request(webhookPath, secret, "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"+behind), []int{400, 501}},
		{"two encodings", request(webhookPath, secret, "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"+behind), []int{400, 501}},
		{"encoding twice", request(webhookPath, secret, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"+behind), []int{400, 501}},
		{"folded encoding", request(webhookPath, secret, "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n[]"), []int{400}},
		{"space before a colon", request(webhookPath, secret, "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n[]"+behind), []int{400}},
		{"NUL in a header", request(webhookPath, secret, "X: a\x00b\r\nContent-Length: 2\r\n\r\n[]"), []int{400}},
		{"a bare CR in a header", request(webhookPath, secret, "X: a\rTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n[]"), []int{400}},
		{"endless chunk", request(webhookPath, secret, "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n[]"), []int{400}},
		{"chunk of a negative size", request(webhookPath, secret, "Transfer-Encoding: chunked\r\n\r\n-1\r\n[]"), []int{400}},
		{"chunks cut off", request(webhookPath, secret, "Transfer-Encoding: chunked\r\n\r\nff\r\n[]"), []int{400}},
		{"body cut off", request(webhookPath, secret, "Content-Length: 100\r\n\r\n{"), []int{400}},
		{"activity cut off", request(messagesPath, token, "Content-Length: 100\r\n\r\n{"), []int{400}},
		{"no host", "POST " + webhookPath + " HTTP/1.1\r\nContent-Length: 0\r\n\r\n", []int{400}},
		{"two hosts", request(webhookPath, secret, "Host: y\r\nContent-Length: 0\r\n\r\n"), []int{400}},
		{"a header of 100 KB", request(webhookPath, secret, "X: "+strings.Repeat("x", 100<<10)+"\r\n\r\n"), []int{431}},
		{"10,000 headers", request(webhookPath, secret, strings.Repeat("X: y\r\n", 20_000)+"\r\n"), []int{431}},
		{"a path of 100 KB", "GET /" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}},
		{"another version", "POST " + webhookPath + " HTTP/9.9\r\nHost: x\r\n\r\n", []int{400, 505}},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{301, 400, 404, 505}},
		{"no HTTP", strings.Repeat("\x16\x03\x01", 500), []int{400}},
		{"whole address of another host", "POST http://evil.example" + webhookPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", []int{401}},
		{"a tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n", []int{301, 404, 405}},
		{"a trace", "TRACE " + webhookPath + " HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n", []int{405}},
		{"the secret in the second of two headers", request(webhookPath, "Bearer x", "Authorization: "+secret+"\r\nContent-Length: 0\r\n\r\n"), []int{401}},
		{"two tokens", request(messagesPath, token, "Authorization: "+token+"\r\nContent-Length: 0\r\n\r\n"), []int{401}},
		{"metrics on the public port", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		{"admin on the public port", "GET /api/admin/stats HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		{"metrics by dots", "GET /api/messages/../../metrics HTTP/1.1\r\nHost: x\r\n\r\n", []int{301, 307, 308, 404}},
		{"metrics by escaped dots", "GET /%2e%2e/metrics HTTP/1.1\r\nHost: x\r\n\r\n", []int{301, 307, 308, 404}},
		{"files by dots", "GET /files/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n", []int{301, 307, 308, 404}},
		{"two slashes and another host", "GET //evil.example/.. HTTP/1.1\r\nHost: x\r\n\r\n", []int{301, 307, 308, 404}},
	} {
		got := s.sends(tt.raw)
		if len(got) != 1 || !slices.Contains(tt.want, got[0]) {
			t.Errorf("%s: answers %v, want one of %v and nothing more", tt.name, got, tt.want)
		}
	}
	s.stands()
}

// packed is s, compressed.
func packed(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	z.Close()
	return b.String()
}

// wide is s in UTF-16 with a mark of its order.
func wide(s string) string {
	var b bytes.Buffer
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

func TestServiceRefusesStrangeBodies(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	event := fmt.Sprintf(`{"clientSessionId":%q,"body":[]}`, s.live.SessionID)
	activity := s.activity(nil)
	for _, tt := range []struct {
		name, webhook, activity string
		want                    int
	}{
		{"cut off", event[:len(event)-1], activity[:len(activity)-1], 400},
		{"two objects", event + event, activity + activity, 400},
		{"something behind", event + "\x00", activity + "\x00", 400},
		{"UTF-16", wide(event), wide(activity), 400},
		{"compressed", packed(t, event), packed(t, activity), 400},
		{"single quotes", `{'clientSessionId':'x'}`, `{'type':'message'}`, 400},
		{"NUL in a string", "{\"clientSessionId\":\"a\x00\"}", "{\"type\":\"a\x00\"}", 400},
		{"a form", "clientSessionId=x", "type=message", 400},
		{"XML with an entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>`, `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>`, 400},
		{"nested objects", strings.Repeat(`{"a":`, 150_000), strings.Repeat(`{"a":`, 50_000), 400},
		{"nested and closed", strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000), strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), 400},
		{"nested in a body", `{"body":` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + "}", `{"type":"message","value":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", 400},
		{"a number without end", `{"x":1` + strings.Repeat("0", 900_000), `{"x":1` + strings.Repeat("0", 200_000), 400},
		{"the session twice, the last is nobody's", strings.Replace(event, `,"body"`, `,"clientSessionId":"nobody","body"`, 1), `{"type":"message","type":""}`, 400},
		{"the session with a NUL", `{"clientSessionId":"` + s.live.SessionID + `\u0000","body":[]}`, s.activity(map[string]any{"id": "1\x002"}), 400},
		{"the session with marks of direction", `{"clientSessionId":"\u202e` + s.live.SessionID + `","body":[]}`, s.activity(map[string]any{"id": "1\u202e2"}), 400},
	} {
		token := s.teams.Token(s.teams.ServiceURL())
		if got := s.post(webhookPath, "Bearer "+rigSecret, tt.webhook); got != tt.want {
			t.Errorf("webhook, %s: status %d, want %d", tt.name, got, tt.want)
		}
		if got := s.post(messagesPath, "Bearer "+token, tt.activity); got != tt.want {
			t.Errorf("messages, %s: status %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := s.sends(request(webhookPath, "Bearer "+rigSecret, "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")); !slices.Equal(got, []int{415}) {
		t.Errorf("a content encoding: %v, want 415", got)
	}
	s.stands()
}

// activity is a message of the employee's as Teams would post it, with fields changed.
func (s *siege) activity(fields map[string]any) string {
	s.t.Helper()
	posted, err := s.chat.Post(s.within(), s.mia, map[string]any{"type": "typing"})
	if err != nil {
		s.t.Fatal(err)
	}
	var a map[string]any
	if err := json.Unmarshal(posted.Activity(), &a); err != nil {
		s.t.Fatal(err)
	}
	a["type"], a["text"] = "message", "this must not be seen"
	for name, f := range fields {
		a[name] = f
	}
	raw, err := json.Marshal(a)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}

// unseen checks that neither side was shown words.
func (s *siege) unseen(words string) {
	s.t.Helper()
	for _, m := range s.chat.Messages() {
		if strings.Contains(string(m.Raw), words) && m.FromID != s.mia.ID {
			s.t.Errorf("Teams shows %q", words)
		}
	}
	for _, c := range s.snow.Chats() {
		for _, line := range c.Said(snowtest.FromUser) {
			if strings.Contains(line, words) {
				s.t.Errorf("the agent sees %q", words)
			}
		}
	}
}
