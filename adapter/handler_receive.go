package adapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	maxBody     = 256 << 10 // bytes of an activity; Teams' own limit is about 100 KB
	readTimeout = 10 * time.Second
	maxID       = 450 // bytes of an id that is stored or logged; a tenant and a conversation make one key
)

// A RequestError says why an HTTP request was refused for another reason than its token.
type RequestError struct {
	// Status is the HTTP status to answer with.
	Status int
	// Reason is one of a few fixed phrases. It holds nothing of the request.
	Reason string
}

func (e *RequestError) Error() string { return "activity refused: " + e.Reason }

func badRequest(reason string) *RequestError {
	return &RequestError{Status: http.StatusBadRequest, Reason: reason}
}

// A receiver turns an HTTP request into an activity that may be believed.
type receiver struct {
	verifier interface {
		Authenticate(ctx context.Context, authorization string) error
		Verify(ctx context.Context, authorization string, a *Activity) error
	}
	appID       string
	tenants     []string
	hosts       HostPolicy
	readTimeout time.Duration
}

// check refuses options that would let nobody in, or anybody.
func (rc *receiver) check() error {
	switch {
	case rc.verifier == nil:
		return errors.New("a verifier is required")
	case strings.TrimSpace(rc.appID) == "":
		return errors.New("the Microsoft App ID is required")
	case len(rc.tenants) == 0:
		return errors.New(`no tenant may use the bot: name the tenants, or "*" for any`)
	case slices.Contains(rc.tenants, ""):
		return errors.New("the list of tenants has an empty entry")
	}
	return nil
}

// receive reads, decodes and verifies the activity of r. It may return the activity together with
// an error, for the ids to be logged. The error is an *AuthError or a *RequestError. w may be nil; then
// the time limit is the server's. Nothing of the body is read before the token has proved to be Microsoft's.
func (rc *receiver) receive(w http.ResponseWriter, r *http.Request) (*Activity, error) {
	if r.Method != http.MethodPost {
		return nil, &RequestError{Status: http.StatusMethodNotAllowed, Reason: "wrong method"}
	}
	if w != nil {
		// The server lifts it when it has the whole body. When we refuse earlier it bounds how long a slow sender is drained.
		// A ResponseWriter that is not the server's may not know how; then there is no connection to hold up.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(rc.readTimeout))
	}
	authorization := strings.Join(r.Header.Values("Authorization"), ", ") // several have no shape that passes
	if err := rc.verifier.Authenticate(r.Context(), authorization); err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	a, err := decodeBody(body)
	if err != nil {
		return nil, err
	}
	if err := rc.verifier.Verify(r.Context(), authorization, a); err != nil {
		return a, err
	}
	return a, rc.admit(a)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := &RequestError{Status: http.StatusRequestEntityTooLarge, Reason: "body too large"}
	if r.ContentLength > maxBody {
		return nil, tooLarge
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &RequestError{Status: http.StatusRequestTimeout, Reason: "body not complete in time"}
	case err != nil:
		return nil, badRequest("body not complete")
	}
	return body, nil
}

// readAll reads r to its end, into a buffer of the size that it is said to have, so that nothing is copied. A negative size is not
// known.
func readAll(r io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(r)
	}
	var b bytes.Buffer
	b.Grow(int(size) + bytes.MinRead)
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// decodeBody reads an activity by the rules of DecodeActivity, save that it keeps body. A byte order mark is passed over
// (RFC 8259, 8.1).
func decodeBody(body []byte) (*Activity, error) {
	object, err := checked(bytes.TrimPrefix(body, []byte("\ufeff")))
	if err != nil { // and err may quote it
		return nil, badRequest("body is not a JSON object")
	}
	a := new(Activity)
	a.fromJSON(object)
	if a.Type == "" {
		return nil, badRequest("activity without type")
	}
	return a, nil
}

// admit checks an activity that comes from the Bot Connector for being one of ours.
func (rc *receiver) admit(a *Activity) error {
	if !slices.Contains(rc.tenants, "*") {
		tenant := a.TenantID()
		if !slices.ContainsFunc(rc.tenants, func(t string) bool { return strings.EqualFold(t, tenant) }) {
			return forbidden("tenant not allowed")
		}
	}
	if a.Recipient == nil || !strings.EqualFold(strings.TrimPrefix(a.Recipient.ID, "28:"), rc.appID) {
		return forbidden("wrong recipient")
	}
	if a.Conversation == nil || a.Conversation.ID == "" {
		return badRequest("activity without conversation")
	}
	if string(a.Extra["deliveryMode"]) == `"expectReplies"` { // whoever waits for them would wait in vain (Activity Protocol A3112)
		return badRequest("answers are not given at once")
	}
	ids := []string{a.ID, a.Conversation.ID}
	if a.From != nil {
		ids = append(ids, a.From.ID, a.From.AADObjectID)
	}
	for _, id := range ids { // they become keys of the store
		if len(id) > maxID || strings.ContainsFunc(id, unprintable) {
			return badRequest("malformed id")
		}
	}
	if rc.hosts.CheckToken(a.ServiceURL) != nil { // we would send our token there
		return forbidden("service url not trusted")
	}
	return nil
}

// unprintable reports whether r could change how a line of a log reads: control characters, and marks of direction.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// logID makes an id that nobody vouches for fit for a log line.
func logID(id string) string {
	id = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, id)
	if len(id) > 200 {
		id = strings.ToValidUTF8(id[:200], "") + "…"
	}
	return id
}

// panicked describes a recovered panic without its value, which may hold a person's words.
func panicked(value any) error { return fmt.Errorf("panic of type %T", value) }
