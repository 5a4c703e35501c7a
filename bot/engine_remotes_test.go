package bot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
)

// A sent is an activity that reached Teams, or was answered with an error.
type sent struct {
	conversation string
	text         string
	at           time.Time
	err          error
}

// A teamsSide is Teams. fail says what a call is answered with.
type teamsSide struct {
	mu   sync.Mutex
	log  []sent
	fail func(conversation, text string) error
	hang bool // sends are not answered
	gone bool // what was sent cannot be updated any more
	out  bool // the roster cannot be read
	wild bool // typing panics

	file    func(adapter.FileRef) ([]byte, string, error) // what a file is fetched as
	silent  string                                        // the host whose files never come
	fetched []string                                      // by name
}

func (s *teamsSide) take(ref adapter.Reference, a *adapter.Activity) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := a.Text
	for _, at := range a.Attachments {
		text += string(at.Content) + at.ContentURL
	}
	x := sent{conversation: ref.ConversationID, text: text, at: time.Now()}
	if s.fail != nil {
		x.err = s.fail(x.conversation, text)
	}
	s.log = append(s.log, x)
	return fmt.Sprintf("out%d", len(s.log)), x.err
}

func (s *teamsSide) Send(ctx context.Context, ref adapter.Reference, a *adapter.Activity) (string, error) {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return "", &adapter.Error{Op: "send", Written: true, Err: context.Cause(ctx)}
	}
	return s.take(ref, a)
}

func (s *teamsSide) Update(_ context.Context, ref adapter.Reference, _ string, a *adapter.Activity) error {
	s.mu.Lock()
	gone := s.gone
	s.mu.Unlock()
	if gone {
		return &adapter.Error{Op: "update", StatusCode: 404, Code: "ActivityNotFoundInConversation", Written: true}
	}
	_, err := s.take(ref, a)
	return err
}

func (s *teamsSide) FetchFile(ctx context.Context, ref adapter.FileRef, _ int64) ([]byte, string, error) {
	s.mu.Lock()
	s.fetched = append(s.fetched, ref.Name)
	silent, file := s.silent != "" && strings.Contains(ref.URL, s.silent), s.file
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, "", &adapter.Error{Op: "file", Err: context.Cause(ctx)}
	}
	return file(ref)
}

// files are the names of what was fetched, in order.
func (s *teamsSide) files() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetched)
}

func (s *teamsSide) Typing(context.Context, adapter.Reference) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wild {
		panic("a mistake")
	}
	return nil
}

func (s *teamsSide) wildTyping(wild bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wild = wild
}

func (s *teamsSide) Member(_ context.Context, ref adapter.Reference, _ string) (adapter.ChannelAccount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out {
		return adapter.ChannelAccount{}, &adapter.Error{Op: "member", StatusCode: 503, Written: true}
	}
	return adapter.ChannelAccount{Email: ref.ConversationID + "@example.com"}, nil
}

// shown are the texts with the part in them that a conversation shows, or showed before they were updated.
func (s *teamsSide) shown(conversation, part string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.log {
		if x.err == nil && x.conversation == conversation && strings.Contains(x.text, part) {
			out = append(out, x.text)
		}
	}
	return out
}

func (s *teamsSide) rosterOut(out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
}

func (s *teamsSide) hanging(hang bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = hang
}

func (s *teamsSide) failing(f func(conversation, text string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// shown are the texts that a conversation shows, or was tried to, with the part in them.
func (s *teamsSide) tried(conversation, part string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.log {
		if x.conversation == conversation && strings.Contains(x.text, part) {
			out = append(out, x.text)
		}
	}
	return out
}

// A snowSide is an instance. fail says what a call is answered with.
type snowSide struct {
	mu       sync.Mutex
	calls    []string // operation and words
	heard    []string // those of the calls that were taken
	sessions map[string]string
	receipts map[string]snow.ReceiptStatus
	reports  int
	fail     func(op string) error
	poison   string // words that are answered 503
	kept     snow.StoredChat
	takes    time.Duration // a request for an agent
	order    []string      // the conversations of those
	attached []snow.Words  // messages with a file

	media   func(url string) ([]byte, string, string, error) // what a file is fetched as
	fetched int
}

func (s *snowSide) take(op, words string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.TrimSpace(op+" "+words))
	if s.poison != "" && words == s.poison {
		return unavailable(op)
	}
	if s.fail != nil {
		if err := s.fail(op); err != nil {
			return err
		}
	}
	s.heard = append(s.heard, s.calls[len(s.calls)-1])
	return nil
}

// took are the words with the part in them that were taken, in order.
func (s *snowSide) took(part string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.heard {
		if words, ok := strings.CutPrefix(call, "message "); ok && strings.Contains(words, part) {
			out = append(out, words)
		}
	}
	return out
}

func (s *snowSide) RequestAgent(_ context.Context, c snow.Chat, r snow.AgentRequest) error {
	err := s.take("agent", r.Text)
	s.mu.Lock()
	s.order = append(s.order, c.Variables.ConversationID)
	takes := s.takes
	s.mu.Unlock()
	<-time.After(takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = map[string]string{}
	}
	s.sessions[c.Variables.ConversationID] = c.SessionID
	return err
}

func (s *snowSide) Say(_ context.Context, _ snow.Chat, w snow.Words) error {
	if w.Attachment == nil {
		return s.take("message", w.Text)
	}
	s.mu.Lock()
	s.attached = append(s.attached, w)
	s.mu.Unlock()
	return s.take("file", w.Attachment.Name)
}

// files are the messages with a file, in order.
func (s *snowSide) files() []snow.Words {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attached)
}

func (s *snowSide) FetchMedia(_ context.Context, url string, _ int64) ([]byte, string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched++
	return s.media(url)
}

func (s *snowSide) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched
}

func (s *snowSide) End(context.Context, snow.Chat, string) error { return s.take("end", "") }

func (s *snowSide) Typing(context.Context, snow.Chat, string, bool) error {
	return s.take("typing", "")
}

func (s *snowSide) Report(_ context.Context, _ snow.Chat, _ string, receipts []snow.Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports++
	if s.fail != nil {
		if err := s.fail("report"); err != nil {
			return err
		}
	}
	if s.receipts == nil {
		s.receipts = map[string]snow.ReceiptStatus{}
	}
	for _, r := range receipts {
		s.receipts[r.MessageID] = r.Status
	}
	return nil
}

func (s *snowSide) ReadBack(context.Context, string, time.Time) (snow.StoredChat, error) {
	err := s.take("read back", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept, err
}

func (s *snowSide) FindUser(context.Context, string) ([]snow.User, error) { return nil, nil }

func (s *snowSide) CreateIncident(context.Context, snow.Incident) (string, error) {
	return "INC1", s.take("incident", "")
}

func (s *snowSide) failing(f func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// slow has requests for an agent answered after a time.
func (s *snowSide) slow(takes time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = takes
}

// asked are the conversations for which an agent was asked for, in order.
func (s *snowSide) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

func (s *snowSide) sessionOf(conversation string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[conversation]
}

// done are the calls so far.
func (s *snowSide) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *snowSide) ticks() (ok, failed, reports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.receipts {
		if r == snow.SentToUser {
			ok++
		} else {
			failed++
		}
	}
	return ok, failed, s.reports
}

func unavailable(string) error { return &snow.Error{Op: "message", StatusCode: 503, Written: true} }

func unreachable(string, string) error {
	return &adapter.Error{Op: "send", StatusCode: 503, Written: true}
}
