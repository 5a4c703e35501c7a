package adaptertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image"
	_ "image/gif" // these are what Teams shows
	_ "image/jpeg"
	_ "image/png"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxPicture     = 1 << 20 // bytes that Teams shows at most
	maxSide        = 1024    // and pixels, either way
	pictureTimeout = 10 * time.Second
)

// A Picture is what Teams got for the address of a picture that the bot shows.
type Picture struct {
	MessageID   string `json:"messageId"`
	URL         string `json:"url"`
	Status      int    `json:"status"` // 0: there was no answer
	ContentType string `json:"contentType"`
	Data        []byte `json:"data"`
	Problem     string `json:"problem,omitempty"` // why the chat shows a gap; "" when it shows the picture
}

// Pictures returns what came of fetching the pictures of the bot's messages, in the order in which that ended. They are fetched once each, without
// a token and without following redirects. Hosts other than loopback are not called, and not listed.
func (v *Conversation) Pictures() []Picture {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.pictures)
}

// fetchPictures fetches the pictures of a message while the bot goes on. The caller holds the lock.
func (v *Conversation) fetchPictures(m *Message) {
	for _, address := range picturesOf(m.Attachments) {
		p := Picture{MessageID: m.ID, URL: address}
		if data, ok := strings.CutPrefix(address, "data:"); ok {
			p.readData(data)
			v.showPicture(p)
			continue
		}
		c := v.channel
		if !isLoopback(address) || !c.enter() {
			continue
		}
		go func() {
			defer c.busy.Done()
			c.fetchPicture(&p)
			v.mu.Lock()
			v.showPicture(p)
			v.mu.Unlock()
			c.changed()
		}()
	}
}

// showPicture keeps a picture. The caller holds the lock.
func (v *Conversation) showPicture(p Picture) {
	if p.Problem == "" {
		p.judge()
	}
	v.pictures = append(v.pictures, p)
	if len(v.pictures) > keptFiles {
		v.pictures = slices.Clone(v.pictures[1:])
	}
}

// picturesOf are the addresses of the pictures among attachments, and in the cards among them.
func picturesOf(attachments []Attachment) []string {
	var found []string
	for _, a := range attachments {
		if strings.HasPrefix(a.ContentType, "image/") && a.ContentURL != "" {
			found = append(found, a.ContentURL)
		}
		var card any
		if a.ContentType == adaptiveCard && json.Unmarshal(a.Content, &card) == nil {
			found = append(found, imagesIn(card)...)
		}
	}
	return found
}

// imagesIn finds the Image elements of a card.
func imagesIn(v any) (found []string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			found = append(found, imagesIn(e)...)
		}
	case map[string]any:
		if address, ok := v["url"].(string); ok && v["type"] == "Image" {
			found = append(found, address)
		}
		for _, name := range []string{"body", "items", "columns", "images"} {
			found = append(found, imagesIn(v[name])...)
		}
	}
	return found
}

func isLoopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
}

func (c *Channel) fetchPicture(p *Picture) {
	ctx, cancel := context.WithTimeout(c.base, pictureTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, http.NoBody)
	if err != nil {
		p.Problem = "no address"
		return
	}
	client := *c.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		p.Problem = "no answer"
		return
	}
	defer resp.Body.Close()
	p.Status, p.ContentType = resp.StatusCode, resp.Header.Get("Content-Type")
	if p.Data, err = io.ReadAll(io.LimitReader(resp.Body, maxPicture+1)); err != nil {
		p.Problem = "the answer broke off"
	}
}

// readData reads the address of a picture that holds the picture itself.
func (p *Picture) readData(s string) {
	kind, data, ok := strings.Cut(s, ";base64,")
	b, err := base64.StdEncoding.DecodeString(data)
	if !ok || err != nil {
		p.Problem = "no base64"
		return
	}
	p.Status, p.ContentType, p.Data = http.StatusOK, kind, b
}

// judge says why Teams does not show what it got.
func (p *Picture) judge() {
	kind, _, _ := mime.ParseMediaType(p.ContentType)
	size, _, err := image.DecodeConfig(bytes.NewReader(p.Data))
	switch {
	case p.Status != http.StatusOK:
		p.Problem = "the answer is not 200"
	case kind != "image/png" && kind != "image/jpeg" && kind != "image/gif":
		p.Problem = "neither PNG, JPEG nor GIF"
	case len(p.Data) > maxPicture:
		p.Problem = "larger than 1 MiB"
	case err != nil:
		p.Problem = "no picture"
	case size.Width > maxSide || size.Height > maxSide:
		p.Problem = "wider or higher than 1024 pixels"
	}
}
