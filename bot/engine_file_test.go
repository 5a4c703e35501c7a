package bot_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color/palette"
	"image/gif"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
)

const filesBase = "https://snowbot.example.com/files"

// fileRules relay files. Every item with an address is one of the instance's.
func fileRules() bot.Rules {
	return bot.Rules{
		Ticks: true, Files: bot.FileRules{Base: filesBase},
		Media: func(it snow.Item) string { return it.URL },
	}
}

// sends has the employee send files, with words.
func (e *engine) sends(text string, names ...string) {
	e.t.Helper()
	a := &adapter.Activity{Type: adapter.TypeMessage, Text: text}
	for _, name := range names {
		e.watch.Said(name)
		content, err := json.Marshal(map[string]string{"downloadUrl": "https://contoso.sharepoint.com/download?tempauth=secret-" + name})
		if err != nil {
			e.t.Fatal(err)
		}
		a.Attachments = append(a.Attachments, adapter.Attachment{
			ContentType: "application/vnd.microsoft.teams.file.download.info", Name: name, Content: content,
		})
	}
	e.does("chat", a)
}

// sendsBefore has the employee send files, with words, and say more before anybody knows what becomes of the files.
func (e *engine) sendsBefore(more, text string, names ...string) {
	e.t.Helper()
	said := make(chan struct{})
	e.teams.mu.Lock()
	if answer := e.teams.file; answer != nil {
		e.teams.file = func(ref adapter.FileRef) ([]byte, string, error) {
			<-said
			return answer(ref)
		}
	}
	e.teams.mu.Unlock()
	e.sends(text, names...)
	e.says("chat", more)
	close(said)
}

// holds sets what Teams has of every file.
func (s *teamsSide) holds(contentType string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = func(ref adapter.FileRef) ([]byte, string, error) {
		return []byte("bytes of " + ref.Name), contentType, err
	}
}

// holds sets what the instance has of every file.
func (s *snowSide) holds(name, contentType string, data []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.media = func(string) ([]byte, string, string, error) { return data, name, contentType, err }
}

// follow returns the file that a link leads to.
func (e *engine) follow(link string) (store.File, error) {
	e.t.Helper()
	token, ok := strings.CutPrefix(link, filesBase+"/")
	if !ok {
		e.t.Fatalf("%q is no link to a file", link)
	}
	return e.bot.File(e.t.Context(), token)
}

func TestFilesFollowTheWordsTheyCameWith(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("application/pdf; x=y", nil)
		e.connect("chat")
		failures := 1
		e.snow.failing(func(op string) error {
			if op != "file" || failures == 0 {
				return nil
			}
			failures--
			return unavailable(op)
		})
		e.says("chat", "before them")
		e.sends("see these", "one.pdf", "two.pdf")
		e.says("chat", "after them")
		e.passes(time.Minute)
		want := []string{"agent agent please", "message before them", "message see these", "file one.pdf", "file one.pdf", "file two.pdf", "message after them"}
		if got := e.snow.done(); !slices.Equal(got, want) {
			t.Errorf("the instance was sent %q, want %q", got, want)
		}
		if got := e.teams.files(); !slices.Equal(got, []string{"one.pdf", "two.pdf"}) {
			t.Errorf("fetched %q, want each once", got)
		}
		sent := e.snow.files()
		first, again, second := sent[0], sent[1], sent[2]
		if first.RequestID != again.RequestID || first.MessageID != again.MessageID || *first.Attachment != *again.Attachment {
			t.Errorf("the second try %+v differs from the first %+v", again, first)
		}
		if first.Attachment.URL == second.Attachment.URL || first.Attachment.ContentType != "application/pdf" {
			t.Errorf("attached %+v and %+v", first.Attachment, second.Attachment)
		}
		f, err := e.follow(first.Attachment.URL)
		if err != nil || string(f.Data) != "bytes of one.pdf" || f.Name != "one.pdf" || f.ContentType != "application/pdf" {
			t.Errorf("the link leads to %q of %q, %q, %v", f.Data, f.Name, f.ContentType, err)
		}
		e.passes(15 * time.Minute)
		if _, err := e.follow(first.Attachment.URL); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a quarter of an hour later: %v, want %v", err, store.ErrNotFound)
		}
	})
}

func TestNobodyFindsAFileByGuessing(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("image/png", nil)
		e.connect("chat")
		e.sends("", "photo.png")
		e.passes(time.Second)
		link := e.snow.files()[0].Attachment.URL
		token := strings.TrimPrefix(link, filesBase+"/")
		if len(token) < 43 {
			t.Errorf("a token of %d characters has less than 256 bits", len(token))
		}
		for _, guess := range []string{
			"", "x", token[1:], token + "A", token + "=", strings.ToLower(token), "../" + token, e.snow.files()[0].MessageID, strings.Repeat("A", 43),
		} {
			if f, err := e.bot.File(e.t.Context(), guess); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q leads to %+v, %v", guess, f, err)
			}
		}
	})
}

func TestHeldFilesArriveInOrderWhenTheAgentJoins(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("image/png", nil)
		e.sends("agent please", "first.png")
		e.passes(time.Second)
		e.waits("chat")
		e.sends("and this", "second.png")
		e.says("chat", "last")
		e.passes(time.Minute)
		e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 401, Err: adapter.ErrFileGone}) // Teams' links last for minutes
		e.passes(20 * time.Minute)
		e.post(e.snow.sessionOf("chat"), snow.Event{Items: []snow.Item{{Kind: snow.KindJoined}}})
		e.passes(5 * time.Second)
		want := []string{"agent agent please", "file first.png", "message and this", "file second.png", "message last"}
		if got := e.snow.done(); !slices.Equal(got, want) {
			t.Errorf("the instance was sent %q, want %q", got, want)
		}
		if n := len(e.teams.tried("chat", "Your words are kept")); n != 1 {
			t.Errorf("told %d times that words are kept, want once", n)
		}
		if got := e.teams.files(); !slices.Equal(got, []string{"first.png", "second.png"}) {
			t.Errorf("fetched %q, want each once", got)
		}
		e.passes(14 * time.Minute)
		for _, w := range e.snow.files() {
			if _, err := e.follow(w.Attachment.URL); err != nil {
				t.Errorf("a while later the link to %s leads nowhere: %v", w.Attachment.Name, err)
			}
		}
		e.passes(2 * time.Minute)
		for _, w := range e.snow.files() {
			if _, err := e.follow(w.Attachment.URL); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("when its time is up the link to %s leads to a file: %v", w.Attachment.Name, err)
			}
		}
	})
}

// The agent may join while the file is on its way here: the send waits for it, and does not ask Teams for it once more.
func TestAFileThatIsBeingFetchedWhenTheAgentJoinsIsFetchedOnce(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		comes := make(chan struct{})
		e.teams.mu.Lock()
		e.teams.file = func(ref adapter.FileRef) ([]byte, string, error) {
			<-comes
			return []byte("bytes of " + ref.Name), "image/png", nil
		}
		e.teams.mu.Unlock()
		e.sends("agent please", "slow.png")
		e.passes(time.Second)
		e.post(e.snow.sessionOf("chat"), snow.Event{Items: []snow.Item{{Kind: snow.KindJoined}}})
		e.passes(5 * time.Second)
		close(comes)
		e.passes(15 * time.Second)
		e.says("chat", "after it")
		e.passes(time.Second)
		if got := e.teams.files(); len(got) != 1 {
			t.Errorf("fetched %q, want once", got)
		}
		if got, want := e.snow.done(), []string{"agent agent please", "file slow.png", "message after it"}; !slices.Equal(got, want) {
			t.Errorf("the instance was sent %q, want %q", got, want)
		}
	})
}

func TestAFileThatCannotBePassedOnIsToldToBothSides(t *testing.T) {
	for _, tt := range []struct {
		name        string
		contentType string
		err         error
		told        string
		why         string
	}{
		{"too large", "", &adapter.Error{Op: "file", Err: adapter.ErrFileTooLarge}, "a.doc is too large to be passed on: a file may have 10 MB at most.", "file too big"},
		{"of a kind that does not pass", "text/html", nil, "a.doc is not a kind of file that can be passed on to the agent.", "file type not allowed"},
		{"not there any more", "", &adapter.Error{Op: "file", StatusCode: 404, Err: adapter.ErrFileGone}, "a.doc can no longer be fetched from Teams. Please send it again.", "file gone"},
		{"from a foreign host", "", &adapter.Error{Op: "file", Err: &adapter.HostError{Host: "evil.example.com"}}, "a.doc could not be passed on to the agent.", "file host refused"},
		{"out of reach", "", &adapter.Error{Op: "file", StatusCode: 503}, "a.doc could not be passed on to the agent.", "file out of reach"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, fileRules(), func(e *engine) {
				e.teams.holds(tt.contentType, tt.err)
				e.connect("chat")
				e.sendsBefore("after it", "look", "a.doc")
				e.passes(7 * time.Minute)
				if n := len(e.teams.tried("chat", tt.told)); n != 1 {
					t.Errorf("told %d times, want once; Teams shows %q", n, e.teams.tried("chat", ""))
				}
				want := []string{"agent agent please", "message look", "message after it", "message The employee sent a file that could not be passed on."}
				if got := e.snow.done(); !slices.Equal(got, want) {
					t.Errorf("the instance was sent %q, want %q", got, want)
				}
				if n := len(e.teams.tried("chat", "can't be reached")); n != 0 {
					t.Error("the employee was told of an outage of the service desk, which was well")
				}
				letters, err := e.store.DeadLetters(e.t.Context(), store.DeadLetterFilter{})
				if err != nil || len(letters) != 1 || letters[0].Reason != tt.why || letters[0].Delivery.Kind != "file" {
					t.Fatalf("dead letters %+v, %v, want one because of %q", letters, err, tt.why)
				}
				e.teams.holds("application/msword", nil)
				if err := bot.Retry(e.t.Context(), e.store, letters[0], bot.RetryOptions{}); err != nil {
					t.Fatal(err)
				}
				e.passes(time.Second)
				if got := e.snow.done(); got[len(got)-1] != "file a.doc" {
					t.Errorf("sent again, the instance was sent %q", got)
				}
			})
		})
	}
}

// Whoever sends much fills no disk.
func TestFilesTakeNoMoreRoomThanAllowed(t *testing.T) {
	rules := fileRules()
	rules.Files.Most, rules.Files.Total = 1<<20, 1<<20
	bubble(t, rules, func(e *engine) {
		e.teams.holds("application/msword", nil)
		e.connect("chat")
		for range 4 {
			e.sends("", "a.doc")
			e.passes(time.Second)
		}
		if n := len(e.teams.tried("chat", "could not be passed on")); n != 0 {
			t.Fatalf("%d files were refused for which there was room", n)
		}
		e.teams.mu.Lock()
		e.teams.file = func(adapter.FileRef) ([]byte, string, error) { return make([]byte, 1<<20), "application/msword", nil }
		e.teams.mu.Unlock()
		e.sends("", "a.doc")
		e.passes(time.Second)
		if n := len(e.teams.tried("chat", "a.doc could not be passed on to the agent.")); n != 1 {
			t.Errorf("told %d times that a file could not be passed on, want once", n)
		}
		e.passes(16 * time.Minute) // the links have run out
		e.sends("", "a.doc")
		e.passes(time.Second)
		if got := e.snow.done(); got[len(got)-1] != "file a.doc" {
			t.Errorf("with room again, the instance was sent %q", got)
		}
	})
}

func TestAFileIsTriedAgainWhileTeamsIsAway(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("", &adapter.Error{Op: "file", StatusCode: 503})
		e.connect("chat")
		for i := range 30 {
			e.sends("", fmt.Sprintf("file%d.png", i))
		}
		e.passes(14 * time.Second)
		e.teams.holds("image/png", nil)
		e.passes(time.Minute)
		if got := e.snow.files(); len(got) != 30 {
			t.Errorf("%d files arrived, want all", len(got))
		}
		if n := e.metric("snowbot_possible_repeats_total", "unclear outcome"); n != 0 {
			t.Errorf("%v possible repeats", n)
		}
	})
}

func TestAFileInHandAtARestartIsSentUnderTheSameLink(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("image/png", nil)
		e.connect("chat")
		e.snow.failing(unavailable)
		e.sends("", "photo.png")
		e.passes(time.Second)
		e.stop()
		e.snow.failing(nil)
		e.start()
		e.passes(time.Minute)
		sent := e.snow.files()
		if first, last := sent[0], sent[len(sent)-1]; len(sent) < 2 || *first.Attachment != *last.Attachment || first.MessageID != last.MessageID {
			t.Errorf("sent %+v and %+v", first, last)
		}
		if got := e.teams.files(); len(got) != 1 {
			t.Errorf("fetched %q, want once", got)
		}
	})
}

func picture(t *testing.T, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// images is a GIF of so many pictures.
func images(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	var all gif.GIF
	for range n {
		all.Image = append(all.Image, image.NewPaletted(image.Rect(0, 0, 8, 8), palette.Plan9))
		all.Delay = append(all.Delay, 10)
	}
	if err := gif.EncodeAll(&b, &all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAFileOfTheAgentIsShown(t *testing.T) {
	small, large := picture(t, 8), picture(t, 2000)
	still, moving := images(t, 1), images(t, 2)
	for _, tt := range []struct {
		name string
		item snow.Item
		file store.File
		err  error
		want string // LINK stands for the link
	}{
		{"a picture as such", snow.Item{Kind: snow.KindImage, Text: "the router"}, store.File{Name: "r.png", ContentType: "image/png", Data: small}, nil, "LINK"},
		{"a picture that Teams does not show as a link", snow.Item{Kind: snow.KindImage}, store.File{Name: "large.png", ContentType: "image/png", Data: large}, nil, `[large\.png](LINK)`},
		{"a GIF as such", snow.Item{Kind: snow.KindImage}, store.File{Name: "one.gif", ContentType: "image/gif", Data: still}, nil, "LINK"},
		{"a GIF that moves as a link", snow.Item{Kind: snow.KindImage}, store.File{Name: "two.gif", ContentType: "image/gif", Data: moving}, nil, `[two\.gif](LINK)`},
		{"a file with its name", snow.Item{Kind: snow.KindText, Text: "/api/now/v1/cs/media/1"}, store.File{Name: "a_b.pdf", ContentType: "application/pdf"}, nil, `[a\_b\.pdf](LINK)`},
		{"and what the agent calls it", snow.Item{Kind: snow.KindLink, Text: "The guide"}, store.File{Name: "guide.pdf", ContentType: "application/pdf"}, nil, `The guide: [guide\.pdf](LINK)`},
		{"its address where it is gone", snow.Item{Kind: snow.KindLink, Text: "The guide"}, store.File{}, snow.ErrMediaGone, `[The guide](https://example.service-now.com/1)`},
		{"its address where it is too large", snow.Item{Kind: snow.KindLink, Text: "The guide"}, store.File{}, snow.ErrMediaTooLarge, `[The guide](https://example.service-now.com/1)`},
		{"its address where its kind does not pass", snow.Item{Kind: snow.KindLink, Text: "The guide"}, store.File{Name: "x.svg", ContentType: "image/svg+xml"}, nil, `[The guide](https://example.service-now.com/1)`},
		{"its address while the instance is away", snow.Item{Kind: snow.KindLink, Text: "The guide"}, store.File{}, &snow.Error{Op: "media", StatusCode: 503}, `[The guide](https://example.service-now.com/1)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, life := fileRules(), 24*time.Hour
			if tt.want != "LINK" { // a day of timers takes a while
				life = 2 * time.Hour
				rules.Files.EmployeeLink = life
			}
			bubble(t, rules, func(e *engine) {
				e.snow.holds(tt.file.Name, tt.file.ContentType, tt.file.Data, tt.err)
				session := e.connect("chat")
				tt.item.URL, tt.item.FromAgent = "https://example.service-now.com/1", true
				e.answers(session, "before it")
				e.post(session, snow.Event{Items: []snow.Item{tt.item}})
				e.answers(session, "after it")
				e.passes(time.Minute)
				shown := e.teams.tried("chat", "")
				at := slices.Index(shown, "before it")
				if at < 0 || len(shown) < at+3 || shown[at+2] != "after it" {
					t.Fatalf("Teams shows %q", shown)
				}
				got := shown[at+1]
				if from := strings.Index(got, filesBase); from >= 0 {
					link, _, _ := strings.Cut(got[from:], ")")
					got = strings.Replace(got, link, "LINK", 1)
					e.passes(life - time.Hour)
					if f, err := e.follow(link); err != nil || !bytes.Equal(f.Data, tt.file.Data) || f.Name != tt.file.Name {
						t.Errorf("the link leads to %q, %v", f.Name, err)
					}
					e.passes(2 * time.Hour)
					if _, err := e.follow(link); !errors.Is(err, store.ErrNotFound) {
						t.Errorf("%v later: %v", life, err)
					}
				}
				if got != tt.want {
					t.Errorf("Teams shows %q, want %q", got, tt.want)
				}
				if ok, failed, _ := e.snow.ticks(); ok != 3 || failed != 0 {
					t.Errorf("%d ticks and %d failures, want three ticks", ok, failed)
				}
			})
		})
	}
}

func TestAFileOfTheAgentIsFetchedOnce(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.snow.holds("r.png", "image/png", picture(t, 8), nil)
		session := e.connect("chat")
		failures := 2
		e.teams.failing(func(_, text string) error {
			if !strings.Contains(text, filesBase) || failures == 0 {
				return nil
			}
			failures--
			return &adapter.Error{Op: "send", StatusCode: 503, Written: true}
		})
		e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindImage, URL: "/1", FromAgent: true}}})
		e.passes(time.Minute)
		sent := e.teams.tried("chat", filesBase)
		if len(sent) != 3 || sent[0] != sent[2] {
			t.Errorf("sent %q, want the same three times", sent)
		}
		if n := e.snow.fetches(); n != 1 {
			t.Errorf("fetched %d times, want once", n)
		}
	})
}

func TestAPictureIsNotMergedWithWords(t *testing.T) {
	rules := fileRules()
	rules.Pacing = true
	bubble(t, rules, func(e *engine) {
		e.snow.holds("r.png", "image/png", picture(t, 8), nil)
		session := e.connect("chat")
		for i := range 40 {
			e.answers(session, fmt.Sprintf("words %02d", i))
			if i == 30 {
				e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindText, Text: "/1", URL: "/1", FromAgent: true}}})
			}
		}
		e.passes(5 * time.Minute)
		all := strings.Join(e.teams.tried("chat", ""), "\n")
		if n := strings.Count(all, filesBase); n != 1 {
			t.Errorf("the picture shows %d times", n)
		}
		before, after, _ := strings.Cut(all, filesBase)
		if !strings.Contains(before, "words 30") || strings.Contains(before, "words 31") || !strings.Contains(after, "words 31") {
			t.Errorf("the picture is not where it was sent:\n%s", all)
		}
		for _, shown := range e.teams.tried("chat", filesBase) {
			if strings.Contains(shown, "words") {
				t.Errorf("words and a picture in one message: %q", shown)
			}
		}
	})
}
