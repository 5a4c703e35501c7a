package bot

import (
	"bytes"
	"context"
	"errors"
	"image"
	_ "image/gif"  // so that the size of such a picture is known
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"net/url"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// fileToAgent sends a file of the employee, by a link that ServiceNow fetches it from.
func (b *Bot) fileToAgent(ctx context.Context, c *claim, chat snow.Chat, request string, e *sentEvent, call *call) error {
	ref := e.body.File
	switch {
	case ref == nil:
		return errBroken
	case !b.rules.Files.on(): // any more
		return &fetchError{why: failFilesOff, err: errFilesOff}
	}
	f, link, err := b.kept(ctx, c, e.delivery.ID, b.rules.Files.AgentLink, b.ofEmployee(ref, call))
	if err != nil {
		return err
	}
	if !c.subjectTo(&b.limit) {
		return &fetchError{err: errFileLater}
	}
	call.made = true
	return b.snow.Say(ctx, chat, snow.Words{
		RequestID: request, MessageID: e.delivery.ID, Text: e.body.Text,
		Attachment: &snow.Attachment{ContentType: f.ContentType, Name: f.Name, URL: link, ClientID: e.delivery.ID},
	})
}

// ofEmployee is where a file of the employee is.
func (b *Bot) ofEmployee(ref *adapter.FileRef, call *call) source {
	s := source{slots: b.toAgent}
	if u, err := url.Parse(ref.URL); err == nil {
		s.host = u.Host
	}
	s.fetch = func(ctx context.Context) (store.File, error) {
		if ref.Token {
			call.teams++
		}
		data, contentType, err := b.teams.FetchFile(ctx, *ref, b.rules.Files.Most)
		return store.File{Name: ref.NameFor(contentType), ContentType: contentType, Data: data}, err
	}
	return s
}

// leastKept is how long a file is good for after the longest wait for an agent.
const leastKept = 15 * time.Minute

// ahead fetches a file that is held until an agent joins, since Teams gives it out for a few minutes only. When that fails nobody
// is told: the send tries again, and tells.
func (b *Bot) ahead(ctx context.Context, c *claim, e *sentEvent, call *call) error {
	if e.body.File == nil || e.body.For == "" {
		return errBroken
	}
	s, err := b.loadState(ctx, c.lease.Lane.Conversation)
	if err != nil {
		return err
	}
	if !b.rules.Files.on() || !s.live(e.delivery.Session) || s.Session.Phase == connected { // whose send is on its way
		return nil
	}
	life := b.rules.MaxWait + max(b.rules.Files.AgentLink, leastKept)
	_, _, err = b.kept(ctx, c, e.body.For, life, b.ofEmployee(e.body.File, call))
	if call.teams > 0 {
		b.room.called(s.Ref.TenantID, call.teams)
	}
	var fe *fetchError
	if errors.As(err, &fe) {
		if _, more := fe.next(&e.delivery, b.now()); !more {
			b.log.Info("a file could not be fetched ahead of an agent; its send will try again", "delivery", e.body.For, "err", err)
			return nil
		}
	}
	return err
}

// withMedia is the activity that shows a file of the agent, or one with its address where the file cannot be had. For that the
// employee may have to log in.
func (b *Bot) withMedia(ctx context.Context, c *claim, e *sentEvent) (*adapter.Activity, error) {
	if !b.rules.Files.on() { // any more
		return e.body.Activity, nil
	}
	m := e.body.Media
	f, link, err := b.kept(ctx, c, e.delivery.ID, b.rules.Files.EmployeeLink, source{b.toEmployee, instanceHost, func(ctx context.Context) (store.File, error) {
		data, name, contentType, err := b.snow.FetchMedia(ctx, m.URL, b.rules.Files.Most)
		return store.File{Name: name, ContentType: contentType, Data: data}, err
	}})
	if err == nil {
		return mediaActivity(m, f, link), nil
	}
	var fe *fetchError
	if errors.As(err, &fe) {
		if _, more := fe.next(&e.delivery, b.now()); more {
			return nil, err
		}
	}
	b.log.Info("a file of the agent cannot be had; its address is shown", "delivery", e.delivery.ID, "err", err)
	return e.body.Activity, nil
}

// What Teams shows of a picture: PNG, JPEG or GIF that stands still, of at most this many bytes, and this many pixels either way.
const (
	pictureBytes = 1 << 20
	pictureSide  = 1024
)

// mediaActivity shows a picture as such if Teams does, and links to every other file.
func mediaActivity(m *media, f store.File, link string) *adapter.Activity {
	if len(f.Data) <= pictureBytes {
		if c, format, err := image.DecodeConfig(bytes.NewReader(f.Data)); err == nil && c.Width <= pictureSide && c.Height <= pictureSide &&
			(format != "gif" || !moves(f.Data)) {
			return &adapter.Activity{
				Type: adapter.TypeMessage, Summary: cut(firstOf(m.Label, f.Name), 200),
				Attachments: []adapter.Attachment{{ContentType: "image/" + format, ContentURL: link, Name: f.Name}},
			}
		}
	}
	text := "[" + escapeMarkdown(f.Name) + "](" + escapeURL(link) + ")"
	if m.Label != "" && m.Label != f.Name {
		text = escapeMarkdown(m.Label) + ": " + text
	}
	return markdown(text)[0]
}

// moves reports whether a GIF has more than one image, which Teams does not show. It looks at the blocks of the file only: what is in
// them may be of any size.
func moves(gif []byte) bool {
	const header, extension, descriptor = 13, 0x21, 0x2c
	colours := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	if len(gif) < header {
		return false
	}
	at, images := header+colours(gif[10]), 0
	for at+9 < len(gif) {
		switch gif[at] {
		case extension:
			at += 2
		case descriptor:
			if images++; images > 1 {
				return true
			}
			at += 11 + colours(gif[at+9]) // the size of its codes included
		default: // the end
			return false
		}
		for at < len(gif) && gif[at] != 0 {
			at += 1 + int(gif[at])
		}
		at++
	}
	return false
}
