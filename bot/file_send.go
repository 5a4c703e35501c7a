package bot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // so that the size of such a picture is known
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"strings"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// filesAtOnce is how many files are in memory at once while they are fetched and kept.
const filesAtOnce = 4

// filesPatience is how long a send waits until there is room for its file. Then its lane makes way for others.
const filesPatience = time.Second

// A fetchError says why the file of a delivery is not there to be sent.
type fetchError struct {
	why   failure       // of a file that never will be
	after time.Duration // of one that may be later: how long the other side wishes to be left alone
	err   error         // holds neither names nor addresses
}

func (e *fetchError) Error() string { return fetchMark + e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

// fetchMark begins the outcome of an attempt for which no file was there. Stored, so it does not change.
const fetchMark = "no file: "

// unfetchable is what an error of either side says of a file.
func unfetchable(err error) *fetchError {
	e := &fetchError{err: err}
	var he *adapter.HostError
	var ae *adapter.Error
	var se *snow.Error
	switch {
	case errors.Is(err, adapter.ErrFileTooLarge), errors.Is(err, snow.ErrMediaTooLarge):
		e.why = failFileTooBig
	case errors.Is(err, adapter.ErrFileGone), errors.Is(err, snow.ErrMediaGone), errors.Is(err, snow.ErrNotMedia):
		e.why = failFileGone
	case errors.As(err, &he):
		e.why = failFileHost
	case errors.As(err, &ae):
		o := find(teamsOutcomes, teamsStatus(ae))
		if e.after = ae.RetryAfter; o.fate == never {
			e.why = failFileGone
		}
	case errors.As(err, &se):
		o := find(serviceNowOutcomes, serviceNowStatus(se))
		if e.after = se.RetryAfter; o.fate == never {
			e.why = failFileGone
		}
	}
	return e
}

var (
	errFileType  = errors.New("its type is not passed on")
	errFileRoom  = errors.New("no room: too much is kept of files that were sent already")
	errFilesBusy = errors.New("too many files at once")
	errFileSlow  = errors.New("it was fetched, and too late to be sent at once")
)

// kept returns the file of a delivery, which is fetched unless an earlier try has done so, and the link under which it can be had
// for a while from now. Any error is a *fetchError.
func (b *Bot) kept(ctx context.Context, conversation, delivery string, life time.Duration, fetch func(context.Context) (store.File, error)) (f store.File, link string, err error) {
	room := time.NewTimer(filesPatience)
	defer room.Stop()
	select {
	case b.files <- struct{}{}:
		defer func() { <-b.files }()
	case <-room.C:
		return f, "", &fetchError{err: errFilesBusy}
	}
	token := fileToken(b.store, conversation, delivery)
	id, now := fileID(token), b.now()
	if f, err = b.store.File(ctx, id); err == nil {
		err = b.store.ExtendFile(ctx, id, now.Add(life))
	}
	switch {
	case err == nil:
		return f, b.rules.Files.link(token), nil
	case !errors.Is(err, store.ErrNotFound):
		return f, "", &fetchError{err: fmt.Errorf("read it: %w", err)}
	}
	if f, err = fetch(ctx); err != nil {
		return f, "", unfetchable(err)
	}
	if f.ContentType = plainType(f.ContentType); !b.rules.Files.takes(f.ContentType) {
		return f, "", &fetchError{why: failFileType, err: errFileType}
	}
	if s, err := b.store.Stats(ctx); err == nil && s.FileBytes+int64(len(f.Data)) > b.rules.Files.Total {
		b.log.Warn("a file is not passed on: the files in the database have reached their limit; see files in the configuration", "delivery", delivery, "bytes", s.FileBytes)
		return f, "", &fetchError{why: failFileRoom, err: errFileRoom}
	}
	f.ID, f.Conversation, f.Expires = id, conversation, b.now().Add(life)
	if err := b.store.PutFile(ctx, f); err != nil {
		return f, "", &fetchError{err: fmt.Errorf("keep it: %w", err)}
	}
	if until, ok := ctx.Deadline(); ok && time.Until(until) < leastSend {
		return f, "", &fetchError{err: errFileSlow}
	}
	return f, b.rules.Files.link(token), nil
}

// fileToAgent sends a file of the employee, by a link that ServiceNow fetches it from.
func (b *Bot) fileToAgent(ctx context.Context, conversation string, chat snow.Chat, request string, e *sentEvent, call *call) error {
	ref := e.body.File
	if ref == nil {
		return errBroken
	}
	f, link, err := b.kept(ctx, conversation, e.delivery.ID, b.rules.Files.AgentLink, func(ctx context.Context) (store.File, error) {
		if ref.Token {
			call.teams++
		}
		data, contentType, err := b.teams.FetchFile(ctx, *ref, b.rules.Files.Most)
		return store.File{Name: ref.NameFor(contentType), ContentType: contentType, Data: data}, err
	})
	if err != nil {
		return err
	}
	call.made = true
	return b.snow.Say(ctx, chat, snow.Words{
		RequestID: request, MessageID: e.delivery.ID, Text: e.body.Text,
		Attachment: &snow.Attachment{ContentType: f.ContentType, Name: f.Name, URL: link, ClientID: e.delivery.ID},
	})
}

// mediaTries is how often a file of the agent is asked for. Then its address is shown instead, for which the employee may
// have to log in.
const mediaTries = 3

// withMedia is the activity that shows a file of the agent, or one with its address where the file cannot be had.
func (b *Bot) withMedia(ctx context.Context, conversation string, e *sentEvent) (*adapter.Activity, error) {
	m := e.body.Media
	f, link, err := b.kept(ctx, conversation, e.delivery.ID, b.rules.Files.EmployeeLink, func(ctx context.Context) (store.File, error) {
		data, name, contentType, err := b.snow.FetchMedia(ctx, m.URL, b.rules.Files.Most)
		return store.File{Name: name, ContentType: contentType, Data: data}, err
	})
	var fe *fetchError
	switch {
	case err == nil:
		return mediaActivity(m, f, link), nil
	case errors.As(err, &fe) && fe.why == "" && unfetched(e.delivery) < mediaTries-1:
		return nil, err
	}
	b.log.Info("a file of the agent cannot be had; its address is shown", "delivery", e.delivery.ID, "err", err)
	return e.body.Activity, nil
}

// unfetched is how many tries of a delivery had no file.
func unfetched(d store.Delivery) (n int) {
	for _, a := range d.Attempts {
		if strings.HasPrefix(a.Outcome, fetchMark) && !strings.HasSuffix(a.Outcome, errFilesBusy.Error()) {
			n += a.Times
		}
	}
	return n
}

// What Teams shows of a picture: PNG, JPEG or GIF, of at most this many bytes, and this many pixels either way.
const (
	pictureBytes = 1 << 20
	pictureSide  = 1024
)

// mediaActivity shows a picture as such if Teams does, and links to every other file.
func mediaActivity(m *media, f store.File, link string) *adapter.Activity {
	if len(f.Data) <= pictureBytes {
		if c, format, err := image.DecodeConfig(bytes.NewReader(f.Data)); err == nil && c.Width <= pictureSide && c.Height <= pictureSide {
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
