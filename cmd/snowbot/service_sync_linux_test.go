package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// TestServiceAnswersAfterTheSync reads in a trace of the system calls what no kill can show, since a kill loses nothing that was
// written: each 200 leaves after the disk has said that a commit is there, meta page and all, which began when the request was in.
func TestServiceAnswersAfterTheSync(t *testing.T) {
	t.Parallel()
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	now, err := snowtest.New(snowtest.Options{AgentNames: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(now.Close)
	b := newBinary(t, teams, now, nil)
	trace := filepath.Join(t.TempDir(), "trace")
	if err := syscall.Mkfifo(trace, 0o600); err != nil {
		t.Fatal(err)
	}
	watched := make(chan *syncWatch, 1)
	go func() { watched <- watchSyncs(trace) }()
	b.command = append([]string{
		"strace", "-D", "-f", "-q", "-y", "-s", "80", "-o", trace, "-e", "trace=read,write,pwrite64,fdatasync", "-e", "signal=none",
	}, b.command...)
	at, err := b.Start(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.logs.String())
	}
	teams.SetBot(at.Bot)
	now.SetWebhook(at.Webhook, at.WebhookSecret)
	r := &rig{t: t, teams: teams, snow: now, proc: b.proc.cmd, logs: b.logs, admin: b.proc.at.Admin, addr: b.proc.at.Addr}
	r.mia = teams.AddUser(adaptertest.User{Name: "Mia Khan", Email: "mia.khan@example.com"})
	r.chat = teams.Personal(r.mia)
	c := r.connect()
	const each = 10
	for i := range each {
		words, answer := fmt.Sprint("word ", i), fmt.Sprint("answer ", i)
		r.settled() // so that no other commit can be taken for the one that is asked about
		r.says(words)
		r.hears(c, words)
		r.settled()
		if _, err := now.Say(t.Context(), c.ID, answer); err != nil {
			t.Fatal(err)
		}
		r.sees(answer)
	}
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	w := <-watched
	for _, e := range w.early {
		t.Error(e)
	}
	if n := w.answers["/api/messages"]; n < each {
		t.Errorf("the trace shows %d answers to Teams, want %d at least", n, each)
	}
	if n := w.answers["/api/v1/snowBot/receiveMessage"]; n < each {
		t.Errorf("the trace shows %d answers to ServiceNow, want %d at least", n, each)
	}
}

// settled waits until no delivery waits, be it for a send or for the commit that removes it.
func (r *rig) settled() {
	r.t.Helper()
	r.until("settled", func() bool {
		for _, lane := range []string{"teams", "servicenow", "ticks", "bot"} {
			if metricOf("http://"+r.admin+"/metrics", `snowbot_deliveries_waiting{direction="`+lane+`"}`) > 0 {
				return false
			}
		}
		return true
	})
}

// A syncWatch follows a trace. The store's commits are: pages, sync, meta page, sync.
type syncWatch struct {
	asked   map[string]string // by connection: the path of the request that waits for its answer
	synced  map[string]bool   // by connection: a commit that began after the request is durable
	since   map[string]bool   // by connection: the request was there when the commit under way began
	commit  commitStage
	halves  map[string]string // by thread: a call that is not back yet
	answers map[string]int    // by path
	early   []string
}

// A commitStage is how far the commit under way is.
type commitStage int

const (
	none commitStage = iota
	pages
	pagesDurable
	meta
)

func newSyncWatch() *syncWatch {
	return &syncWatch{
		asked: map[string]string{}, synced: map[string]bool{}, since: map[string]bool{}, halves: map[string]string{}, answers: map[string]int{},
	}
}

// watchSyncs reads a trace to its end.
func watchSyncs(path string) *syncWatch {
	w := newSyncWatch()
	f, err := os.Open(path)
	if err != nil {
		w.early = append(w.early, err.Error())
		return w
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w.take(lines.Text())
	}
	return w
}

var (
	callPattern    = regexp.MustCompile(`^(\d+)\s+(\w+)\((\d+<[^>]*>)(.*)$`)
	resumedPattern = regexp.MustCompile(`^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$`)
	requestPattern = regexp.MustCompile(`^, "POST (\S+) HTTP/1\.1`)
	offsetAtEnd    = regexp.MustCompile(`, (\d+)\)\s+= \d+$`)
)

// take reads one line. What a call reads or changes counts when it is back; an answer counts when it sets out.
func (w *syncWatch) take(line string) {
	if m := resumedPattern.FindStringSubmatch(line); m != nil {
		if begun, ok := w.halves[m[1]]; ok {
			delete(w.halves, m[1])
			w.back(begun + m[3])
		}
		return
	}
	m := callPattern.FindStringSubmatch(line)
	if m == nil {
		return
	}
	if m[2] == "write" && strings.HasPrefix(m[4], `, "HTTP/1.1 200`) {
		w.answer(m[3])
	}
	if begun, half := strings.CutSuffix(line, " <unfinished ...>"); half {
		w.halves[m[1]] = begun
		return
	}
	w.back(line)
}

// back takes a call that has returned.
func (w *syncWatch) back(line string) {
	m := callPattern.FindStringSubmatch(line)
	if m == nil {
		return
	}
	call, fd, rest := m[2], m[3], m[4]
	switch database := strings.Contains(fd, "snowbot.db>"); {
	case call == "read":
		if q := requestPattern.FindStringSubmatch(rest); q != nil {
			w.asked[fd], w.synced[fd], w.since[fd] = q[1], false, false
		}
	case call == "pwrite64" && database:
		w.wrote(rest)
	case call == "fdatasync" && database && strings.HasSuffix(rest, "= 0"):
		switch w.commit {
		case pages:
			w.commit = pagesDurable
		case meta:
			w.commit = none
			for fd := range w.since {
				w.synced[fd] = w.synced[fd] || w.since[fd]
				w.since[fd] = false
			}
		}
	}
}

// wrote takes a write to the database. The first page of a commit says which requests it can hold.
func (w *syncWatch) wrote(rest string) {
	at := 0
	if m := offsetAtEnd.FindStringSubmatch(rest); m != nil {
		_, _ = fmt.Sscan(m[1], &at)
	}
	switch isMeta := at < 2*os.Getpagesize(); {
	case isMeta && w.commit == pagesDurable:
		w.commit = meta
	case isMeta:
		w.commit = none // what it points to is not durable
	case w.commit != pages:
		w.commit = pages
		for fd := range w.asked {
			w.since[fd] = true
		}
	}
}

// answer takes a 200 on a connection.
func (w *syncWatch) answer(fd string) {
	path, ok := w.asked[fd]
	if !ok {
		return // of a request that changes nothing
	}
	delete(w.asked, fd)
	w.answers[path]++
	if !w.synced[fd] {
		w.early = append(w.early, fmt.Sprintf("an answer to POST %s left before anything was synced that came after the request", path))
	}
}
