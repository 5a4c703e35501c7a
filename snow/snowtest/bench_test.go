package snowtest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"snowbot/snow/snowtest"
)

// BenchmarkMessages is one message of a user and one of the agent, over HTTP, in 64 chats at once.
func BenchmarkMessages(b *testing.B) {
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer hook.Close()
	inst, err := snowtest.New(snowtest.Options{WebhookURL: hook.URL, WebhookSecret: "x", KeepLast: 500})
	if err != nil {
		b.Fatal(err)
	}
	defer inst.Close()
	inst.AutoAccept("Sam Ortiz")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	defer client.CloseIdleConnections()
	_, _, user, password := inst.Credentials()
	send := func(userID, action, id string) {
		body := fmt.Sprintf(`{"requestId":%q,"clientSessionId":%q,"userId":%q,"action":%q,"silentMessage":false,`+
			`"message":{"text":"some words of a person","typed":true,"clientMessageId":%q}}`, id, userID, userID, action, id)
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, inst.URL()+integration, bytes.NewReader([]byte(body)))
		if err != nil {
			b.Error(err)
			return
		}
		req.SetBasicAuth(user, password)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	const chats = 64
	for n := range chats {
		send(fmt.Sprintf("u-%d", n), "AGENT", "r")
	}
	live := func() (n int) {
		for _, c := range inst.Chats() {
			if c.State == snowtest.StateLive {
				n++
			}
		}
		return n
	}
	if err := inst.Wait(b.Context(), func() bool { return live() == chats }); err != nil {
		b.Fatal(err)
	}
	list := inst.Chats()
	var next atomic.Int64
	b.SetParallelism(chats / 2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			c := list[n%chats]
			send(c.UserID, "", fmt.Sprintf("m-%d", n))
			if _, err := inst.Say(b.Context(), c.ID, "some words of an agent"); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "messages/s")
}
