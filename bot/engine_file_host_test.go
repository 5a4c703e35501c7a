package bot_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
)

// fileHost is where the files of engine.sends are.
const fileHost = "contoso.sharepoint.com"

// A chat goes on soon, whatever the host of a file does.
func TestAFileHoldsUpAChatForAMinuteAtMost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		breaks func(e *engine)
		tries  int
		within time.Duration
	}{
		{"silent", func(e *engine) { e.teams.silent = fileHost }, 3, 55 * time.Second},
		{"failing", func(e *engine) { e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 500}) }, 3, 16 * time.Second},
		{"throttled for long", func(e *engine) {
			e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 429, RetryAfter: 2 * time.Minute})
		}, 1, time.Second},
		{"throttled shortly", func(e *engine) {
			e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 429, RetryAfter: 8 * time.Second})
		}, 3, 19 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, fileRules(), func(e *engine) {
				e.connect("chat")
				tt.breaks(e)
				e.sendsBefore("after it", "", "a.pdf")
				e.passes(tt.within)
				want := []string{"agent agent please", "message after it", "message The employee sent a file that could not be passed on."}
				if got := e.snow.done(); !slices.Equal(got, want) {
					t.Errorf("after %v the instance was sent %q, want %q", tt.within, got, want)
				}
				if n := len(e.teams.tried("chat", "a.pdf could not be passed on to the agent.")); n != 1 {
					t.Errorf("the employee was told %d times, want once", n)
				}
				if n := len(e.teams.files()); n != tt.tries {
					t.Errorf("fetched %d times, want %d", n, tt.tries)
				}
			})
		})
	}
}

// late has files come after a time.
func (s *teamsSide) late(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = func(ref adapter.FileRef) ([]byte, string, error) {
		<-time.After(after)
		return []byte("bytes of " + ref.Name), "image/png", nil
	}
}

func TestAFileMayTakeAsLongAsItsLease(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.connect("chat")
		e.teams.late(11 * time.Second)
		e.sends("", "slow.png")
		e.passes(time.Minute)
		if got := e.teams.files(); len(got) != 1 || len(e.snow.files()) != 1 {
			t.Errorf("fetched %q and sent %v, want each once", got, e.snow.files())
		}
	})
}

// A file of the agent that cannot be had soon is shown by its address.
func TestTheAddressOfAFileIsShownSoon(t *testing.T) {
	const address = "[The guide](https://example.service-now.com/1)"
	for _, tt := range []struct {
		name          string
		err           error
		after, before time.Duration
	}{
		{"throttled for long", &snow.Error{Op: "media", StatusCode: 429, RetryAfter: 2 * time.Minute}, 0, time.Second},
		{"away for long", &snow.Error{Op: "media", StatusCode: 503, RetryAfter: time.Minute}, 0, time.Second},
		{"away", &snow.Error{Op: "media", StatusCode: 503}, 14 * time.Second, 16 * time.Second},
		{"gone", snow.ErrMediaGone, 0, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, fileRules(), func(e *engine) {
				e.snow.holds("", "", nil, tt.err)
				session := e.connect("chat")
				e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindLink, Text: "The guide", URL: "https://example.service-now.com/1", FromAgent: true}}})
				e.passes(tt.after)
				if n := len(e.teams.tried("chat", address)); tt.after > 0 && n != 0 {
					t.Errorf("shown within %v", tt.after)
				}
				e.passes(tt.before - tt.after)
				if n := len(e.teams.tried("chat", address)); n != 1 {
					t.Errorf("shown %d times within %v, want once", n, tt.before)
				}
			})
		})
	}
}

// One host that is silent leaves room for the files of others, and for those of the other side.
func TestASilentHostDoesNotStarveOthers(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		chats := []string{"one", "two", "three", "four", "five", "six"}
		for _, chat := range append(chats, "well") {
			e.connect(chat)
		}
		e.teams.silent = fileHost
		for _, chat := range chats {
			e.attaches(chat, "https://"+fileHost+"/x", "silent.pdf")
		}
		e.passes(2 * time.Second)
		e.teams.holds("application/pdf", nil)
		e.attaches("well", "https://contoso-my.sharepoint.com/x", "well.pdf")
		e.snow.holds("r.png", "image/png", picture(t, 8), nil)
		e.post(e.snow.sessionOf("well"), snow.Event{Items: []snow.Item{{Kind: snow.KindImage, URL: "/1", FromAgent: true}}})
		e.passes(time.Second)
		if got := e.snow.files(); len(got) != 1 || got[0].Attachment.Name != "well.pdf" {
			t.Errorf("sent %+v, want the file of the host that answers", got)
		}
		if n := len(e.teams.tried("well", filesBase)); n != 1 {
			t.Errorf("the agent's picture shows %d times, want once", n)
		}
	})
}

// A wish that is taken back takes its files along.
func TestAHeldFileIsNotFetchedForAChatThatIsOver(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 503})
		e.sends("agent please", "first.png")
		e.passes(time.Second)
		e.says("chat", "cancel")
		e.passes(time.Minute)
		if got := e.teams.files(); len(got) != 1 {
			t.Errorf("fetched %q, want nothing after the end", got)
		}
		if n := len(e.teams.tried("chat", "could not be passed on")); n != 0 {
			t.Errorf("told %d times of a file that nobody waits for", n)
		}
	})
}

// What could not be fetched ahead is tried again when an agent is there, and told then.
func TestAHeldFileThatCannotBeHadIsToldAtTheJoin(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 404, Err: adapter.ErrFileGone})
		e.sends("agent please", "first.png")
		e.passes(time.Minute)
		e.post(e.snow.sessionOf("chat"), snow.Event{Items: []snow.Item{{Kind: snow.KindJoined}}})
		e.passes(5 * time.Second)
		if n := len(e.teams.tried("chat", "first.png can no longer be fetched")); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		if got := len(e.teams.files()); got != 2 {
			t.Errorf("fetched %d times, want once ahead and once more", got)
		}
	})
}

// Files that wait when files are switched off are not sent by a link that leads nowhere.
func TestFilesSwitchedOffAtARestartAreTold(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("image/png", nil)
		session := e.connect("chat")
		e.snow.failing(unavailable)
		e.teams.failing(unreachable)
		e.sends("", "photo.png")
		e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindLink, Text: "The guide", URL: "https://example.service-now.com/1", FromAgent: true}}})
		e.snow.holds("", "", nil, errors.New("away"))
		e.passes(time.Second)
		e.stop()
		e.rules.Files = bot.FileRules{}
		before := len(e.snow.files())
		e.snow.failing(nil)
		e.teams.failing(nil)
		e.start()
		e.passes(time.Minute)
		if got := e.snow.files()[before:]; len(got) != 0 {
			t.Errorf("sent %+v", got)
		}
		if n := len(e.teams.tried("chat", "Your file could not be passed on to the agent.")); n != 1 {
			t.Errorf("the employee was told %d times, want once", n)
		}
		if n := len(e.teams.tried("chat", "[The guide](https://example.service-now.com/1)")); n != 1 {
			t.Errorf("the agent's file shows %d times by its address, want once", n)
		}
	})
}

// attaches has the employee of a conversation send a file that is at an address.
func (e *engine) attaches(conversation, address, name string) {
	e.t.Helper()
	e.watch.Said(name)
	e.does(conversation, &adapter.Activity{Type: adapter.TypeMessage, Attachments: []adapter.Attachment{{
		ContentType: "application/vnd.microsoft.teams.file.download.info", Name: name, Content: []byte(`{"downloadUrl":"` + address + `"}`),
	}}})
}
