package bot_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/store"
)

const (
	notFetched  = "report.pdf was sent, but did not reach the agent. Please describe it in words."
	agentIsTold = "message The employee sent a file that could not be passed on."
)

// sendsOne has the employee send a file, which ServiceNow takes, and returns the link it was given.
func (e *engine) sendsOne() (link string) {
	e.t.Helper()
	e.teams.holds("application/pdf", nil)
	e.sends("", "report.pdf")
	e.passes(time.Second)
	sent := e.snow.files()
	if len(sent) != 1 {
		e.t.Fatalf("the instance was sent %d files, want one", len(sent))
	}
	return sent[0].Attachment.URL
}

// fetches does what handing out a file does.
func (e *engine) fetches(link string) {
	e.t.Helper()
	f, err := e.follow(link)
	if err == nil {
		err = e.bot.Fetched(e.t.Context(), strings.TrimPrefix(link, filesBase+"/"), f)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// looked checks what people were told of a file, and what was counted since the start.
func (e *engine) looked(told int, counted string) {
	e.t.Helper()
	if n := len(e.teams.tried("chat", notFetched)); n != told {
		e.t.Errorf("the employee was told %d times, want %d; Teams shows %q", n, told, e.teams.tried("chat", ""))
	}
	n := 0
	for _, got := range e.snow.done() {
		if got == agentIsTold {
			n++
		}
	}
	if n != told {
		e.t.Errorf("the agent was told %d times, want %d", n, told)
	}
	for _, detail := range []string{"fetched", "not fetched"} {
		want := 0.0
		if detail == counted {
			want = 1
		}
		if got := e.metric("snowbot_conversation_events_total", detail); got != want {
			e.t.Errorf("%v files counted as %s, want %v", got, detail, want)
		}
	}
	s, err := e.store.Stats(e.t.Context())
	if err != nil || counted != "" && s.Waiting[store.Links] != 0 || s.DeadLetters != 0 {
		e.t.Errorf("left are %+v, %v", s, err)
	}
}

func TestAFileThatServiceNowNeverFetchesIsToldToBothSides(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.connect("chat")
		e.sendsOne()
		e.passes(9 * time.Minute)
		e.looked(0, "")
		e.passes(2 * time.Minute)
		e.looked(1, "not fetched")
		e.passes(time.Hour)
		e.looked(1, "not fetched")
	})
}

func TestAFileThatServiceNowFetchedIsNotAskedAfter(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.connect("chat")
		link := e.sendsOne()
		e.passes(time.Minute)
		e.fetches(link)
		e.fetches(link)
		e.passes(10 * time.Minute)
		e.looked(0, "fetched")
		if f, err := e.follow(link); err != nil || f.Name != "report.pdf" {
			t.Errorf("the link leads to %q, %v", f.Name, err)
		}
	})
}

func TestAFileIsLookedForAfterARestart(t *testing.T) {
	for _, tt := range []struct {
		counted string
		told    int
	}{{"fetched", 0}, {"not fetched", 1}} {
		t.Run(tt.counted, func(t *testing.T) {
			bubble(t, fileRules(), func(e *engine) {
				e.connect("chat")
				if link := e.sendsOne(); tt.told == 0 {
					e.fetches(link)
				}
				e.stop()
				e.passes(20 * time.Minute) // the link has ended
				e.start()
				e.passes(time.Minute)
				e.looked(tt.told, tt.counted)
			})
		})
	}
}

func TestNobodyIsToldOfAFileWhenTheChatIsOver(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.connect("chat")
		e.sendsOne()
		e.says("chat", "end chat")
		e.passes(20 * time.Minute)
		e.looked(0, "not fetched")
	})
}

// What is looked for later holds nothing up.
func TestWordsDoNotWaitForALook(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		session := e.connect("chat")
		e.sendsOne()
		e.says("chat", "did you get it?")
		e.answers(session, "no")
		e.says("chat", "end chat")
		e.passes(2 * time.Second)
		e.says("chat", "help")
		e.passes(2 * time.Second)
		if got := e.snow.done(); !slices.Contains(got, "message did you get it?") {
			t.Errorf("the instance was sent %q", got)
		}
		if n := len(e.teams.tried("chat", "")); n == 0 || len(e.teams.tried("chat", "no")) == 0 {
			t.Errorf("Teams shows %q", e.teams.tried("chat", ""))
		}
		s, err := e.store.Stats(t.Context())
		if err != nil || s.Waiting[store.Links] != 1 || s.Waiting[store.ToBot]+s.Waiting[store.ToTeams]+s.Waiting[store.ToServiceNow] != 0 {
			t.Errorf("waiting are %v, %v", s.Waiting, err)
		}
	})
}

// A blindStore reads no files while it is blind.
type blindStore struct {
	store.Store
	blind atomic.Bool
}

func (s *blindStore) File(ctx context.Context, id string) (store.File, error) {
	if s.blind.Load() {
		return store.File{}, errors.New("the database is away")
	}
	return s.Store.File(ctx, id)
}

func TestALookWaitsForTheStore(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.stop()
		blind := &blindStore{}
		e.wrap = func(st store.Store) store.Store { blind.Store = st; return blind }
		e.start()
		e.connect("chat")
		e.sendsOne()
		blind.blind.Store(true)
		e.passes(30 * time.Minute)
		e.looked(0, "")
		blind.blind.Store(false)
		e.passes(time.Minute)
		e.looked(1, "not fetched")
	})
}
