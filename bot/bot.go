package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// A Handler is the bot that has the conversation while no agent has. It is given a message, or the
// activity that says that the bot was installed, and returns what to answer, or nothing. An event
// activity named "handoff.initiate" among the answers asks for a live agent.
//
// A handler runs outside any commit. It may run twice for one activity, after a crash or an error,
// and its answer is dropped when the conversation went to an agent meanwhile.
type Handler func(ctx context.Context, a *adapter.Activity) ([]*adapter.Activity, error)

// Teams is what the bot needs of the Bot Connector; [adapter.Connector] is it.
type Teams interface {
	Send(ctx context.Context, ref adapter.Reference, a *adapter.Activity) (id string, err error)
	Update(ctx context.Context, ref adapter.Reference, activityID string, a *adapter.Activity) error
	Typing(ctx context.Context, ref adapter.Reference) error
	Member(ctx context.Context, ref adapter.Reference, userID string) (adapter.ChannelAccount, error)
	FetchFile(ctx context.Context, ref adapter.FileRef, limit int64) (data []byte, contentType string, err error)
}

// ServiceNow is what the bot needs of an instance; [snow.Client] is it.
type ServiceNow interface {
	RequestAgent(ctx context.Context, c snow.Chat, r snow.AgentRequest) error
	Say(ctx context.Context, c snow.Chat, w snow.Words) error
	End(ctx context.Context, c snow.Chat, requestID string) error
	Typing(ctx context.Context, c snow.Chat, requestID string, typing bool) error
	Report(ctx context.Context, c snow.Chat, requestID string, receipts []snow.Receipt) error
	ReadBack(ctx context.Context, sessionID string, since time.Time) (snow.StoredChat, error)
	FindUser(ctx context.Context, email string) ([]snow.User, error)
	CreateIncident(ctx context.Context, i snow.Incident) (number string, err error)
	FetchMedia(ctx context.Context, url string, limit int64) (data []byte, name, contentType string, err error)
}

// Options are what a Bot is made of.
type Options struct {
	Store      store.Store
	Teams      Teams
	ServiceNow ServiceNow
	// Handler is the bot; nil is the built-in one, which greets, helps, and offers a person.
	Handler Handler
	// AppID is the bot's Microsoft app id: ServiceNow events for another bot are refused.
	AppID string
	Rules Rules
	// Workers is how many lanes of each direction are worked on at once, and as many again of those that had to wait.
	// Default 96.
	Workers int
	// PossibleRepeats is how many sends the store found to be in hand at an unclean end; they are counted as possible
	// repeats.
	PossibleRepeats int
	// Replicas returns how many processes work on the store, this one included, and zero while the others may not know of
	// this one yet; nil is one alone. They share the rate of a tenant.
	Replicas func() int
	// LostSettles, unless nil, returns how many settles the store has reported as done and may have lost since it was last
	// asked; they are counted as possible repeats.
	LostSettles func() int
	// Metrics is where the counters are registered; nil keeps them to itself.
	Metrics prometheus.Registerer
	Log     *slog.Logger
	Now     func() time.Time
}

// A Bot carries conversations between Teams and ServiceNow. Its methods may be called at the same
// time, and while Run is not running too: what they accept is kept, and carried out when it is.
type Bot struct {
	store   store.Store
	teams   Teams
	snow    ServiceNow
	handler Handler
	appID   string
	rules   Rules
	workers int
	metrics *metrics
	typist  *typist
	hosts   hosts
	room    *room
	states  stateCache
	people  recent[userOf, string]
	mender  *mender

	toAgent, toEmployee, reading *slots // of files in memory
	fetching                     *slots // of files that are fetched, one for each

	log *slog.Logger
	now func() time.Time

	lostSettles func() int
	unsettled   unsettled

	ticksUntil atomic.Int64 // Unix nanoseconds until which no ticks are sent
	told       atomic.Bool  // somebody may have been told of an outage, and not of its end
}

// New checks the options.
func New(o Options) (*Bot, error) {
	switch {
	case o.Store == nil || o.Teams == nil || o.ServiceNow == nil:
		return nil, errors.New("bot: store, Teams and ServiceNow are needed")
	case o.AppID == "":
		return nil, errors.New("bot: the app id is needed")
	}
	rules, err := o.Rules.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("bot: %w", err)
	}
	b := &Bot{
		store: o.Store, teams: o.Teams, snow: o.ServiceNow, handler: o.Handler,
		appID: o.AppID, rules: rules, workers: o.Workers, log: o.Log, now: o.Now,
	}
	if b.workers <= 0 {
		b.workers = 96
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.handler == nil {
		b.handler = b.rules.help
	}
	b.typist = newTypist(b)
	b.mender = newMender(b)
	b.toAgent, b.toEmployee = newSlots(filesAtOnce, filesOfHost), newSlots(filesAtOnce, filesOfHost)
	b.reading = newSlots(filesReading, filesReading)
	b.fetching = newSlots(math.MaxInt, 1)
	tenantRate := 0
	if rules.Pacing {
		tenantRate = rules.TenantRate
	}
	b.room = newRoom(tenantRate)
	b.room.replicas, b.hosts.replicas, b.lostSettles = o.Replicas, o.Replicas, o.LostSettles
	b.metrics = newMetrics(o.Metrics, b)
	b.metrics.repeats("unclean start", o.PossibleRepeats)
	b.told.Store(true) // before this start
	return b, nil
}

// How long either side is kept waiting for a commit, well below the time after which it hangs up: 15 s of Teams, 5 s of
// ServiceNow. Without a database both are to hear that we could not take it.
const (
	teamsPatience      = 10 * time.Second
	serviceNowPatience = 4 * time.Second
)

// within returns a context that ends in d at the latest: ctx itself, when that ends before.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// Activity takes an authenticated activity of Teams. When it returns nil, the activity and all that
// follows from it are durable; a repeat does nothing. Typing is passed on if that is possible at once.
func (b *Bot) Activity(ctx context.Context, a *adapter.Activity) error {
	ctx, cancel := context.WithTimeout(ctx, teamsPatience)
	defer cancel()
	ev := b.describe(a)
	conversation := conversationID(ev.ref.TenantID, ev.ref.ConversationID)
	if a.Type == adapter.TypeTyping {
		b.typist.employee(conversation)
		return nil
	}
	ids := []store.EventID{activityID(a)}
	if ev.press != nil && ev.press.Verb == verbAgain && a.ReplyToID != "" { // the card stays, and what it has failed once
		ids = []store.EventID{{Name: "again/" + a.ReplyToID}}
	}
	if s := b.states.last(conversation); s == nil || s.forBot() {
		b.interpret(ev)
	}
	err := b.apply(ctx, conversation, ids, ev)
	if errors.Is(err, errUninterpreted) { // the session has ended meanwhile
		b.interpret(ev)
		err = b.apply(ctx, conversation, ids, ev)
	}
	var taken *store.KeyTakenError
	if errors.As(err, &taken) { // the person has a session in another conversation
		ev.elsewhere = true
		err = b.apply(ctx, conversation, []store.EventID{activityID(a)}, ev) // nothing was sent again: the card is not used up
	}
	return err
}

// Invoke takes an invoke activity: a button of a card of ours. Others are [adapter.ErrNotImplemented].
func (b *Bot) Invoke(ctx context.Context, a *adapter.Activity) (adapter.InvokeResponse, error) {
	if pressedButton(a) == nil {
		return adapter.InvokeResponse{}, adapter.ErrNotImplemented
	}
	if err := b.Activity(ctx, a); err != nil {
		return adapter.InvokeResponse{}, err
	}
	return adapter.InvokeResponse{Status: 200, Body: map[string]any{
		"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "",
	}}, nil
}

// errUninterpreted says that the employee talks to the bot, and that nobody has looked yet for what they wish.
var errUninterpreted = errors.New("words not interpreted")

// interpret looks for a wish in the employee's words. It takes as long as most of the rest together, and what is said
// to an agent is not looked at.
func (b *Bot) interpret(ev *employeeEvent) {
	if ev.activity.Type == adapter.TypeMessage && ev.press == nil {
		ev.intent = DetectIntent(ev.text, ev.activity.Locale, b.rules.Phrases)
	}
	ev.interpreted = true
}

// describe works out everything about an activity that depends on it alone, save for what interpret does.
func (b *Bot) describe(a *adapter.Activity) *employeeEvent {
	ev := &employeeEvent{activity: a, ref: a.Reference(), press: pressedButton(a)}
	ev.ref.Locale = firstOf(ev.ref.Locale, clientLocale(a))
	ev.text = a.PlainText()
	if ev.text == strings.TrimSpace(a.Text) {
		ev.text = a.Text // nothing was taken out: the words as they were typed
	}
	if strings.TrimSpace(ev.text) == "" {
		ev.text = ""
	}
	ev.attached(a, b.rules.Files.on())
	if a.Type == adapter.TypeMessage && ev.press == nil {
		ev.command = DetectCommand(ev.text)
	}
	ev.live = b.person(ev.ref.TenantID, firstOf(ev.ref.UserAADID, ev.ref.UserID))
	return ev
}

// A userOf names a user of a tenant.
type userOf struct{ tenant, id string }

// person is [Person], which makes an HMAC, and of the same few again and again.
func (b *Bot) person(tenant, user string) string {
	u := userOf{tenant, user}
	masked, ok := b.people.get(u)
	if !ok {
		masked = Person(b.store, tenant, user)
		b.people.put(u, masked)
	}
	return masked
}

// clientLocale is the language of the employee's client, which is said even where the activity has none of its own.
func clientLocale(a *adapter.Activity) string {
	for _, e := range a.Entities {
		var locale string
		if e.Type == "clientInfo" && json.Unmarshal(e.Extra["locale"], &locale) == nil {
			return locale
		}
	}
	return ""
}

// activityID identifies an activity within its conversation. An edit has the id of what it edits.
func activityID(a *adapter.Activity) store.EventID {
	switch {
	case a.ID == "":
		return store.EventID{Name: "teams-hash/" + hashOf(a), Keep: time.Minute}
	case a.Type == adapter.TypeMessageUpdate, a.Type == adapter.TypeMessageDelete:
		return store.EventID{Name: "teams/" + a.ID + "/" + a.Type + "/" + a.Timestamp + "/" + hashOf(a)}
	default:
		return store.EventID{Name: "teams/" + a.ID}
	}
}

func hashOf(a *adapter.Activity) string {
	raw, err := json.Marshal(a)
	if err != nil {
		return ""
	}
	return digest(raw)
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}

// maxItems is how many items of a post are committed at once.
const maxItems = 500

// hashedKeep is how long a post whose items have no ids of their own is taken for a repeat, if it is the same to the
// byte: agents do say "ok" twice, and losing that is worse than showing it twice.
const hashedKeep = 2 * time.Second

// ServiceNow takes a post of ServiceNow. When it returns nil, the post and all that follows from it
// are durable; items that repeat do nothing. [snow.ErrUnknownSession] and [snow.ErrMismatch] say that
// it is none of ours.
func (b *Bot) ServiceNow(ctx context.Context, p *snow.Event) error {
	ctx, cancel := within(ctx, serviceNowPatience)
	defer cancel()
	conversation, session, err := b.locate(ctx, p)
	if err != nil {
		if !errors.Is(err, snow.ErrUnknownSession) && !errors.Is(err, snow.ErrMismatch) {
			b.mender.all() // the store could not say whose it is
		}
		return err
	}
	b.mender.before(ctx, conversation)
	if err := b.accept(ctx, conversation, session, p, false); err != nil {
		b.mender.one(conversation)
		return err
	}
	return nil
}

// accept takes a post that is known to belong to a session. One that was read back is news only as far as it is not known.
func (b *Bot) accept(ctx context.Context, conversation, session string, p *snow.Event, readBack bool) error {
	if len(p.Items) > maxItems { // in several commits, so that none takes long; the flags go with the last
		first := *p
		first.Items, first.Completed, first.TakeControl, first.Status = p.Items[:maxItems], false, false, ""
		if err := b.accept(ctx, conversation, session, &first, readBack); err != nil {
			return err
		}
		rest := *p
		rest.Items = p.Items[maxItems:]
		return b.accept(ctx, conversation, session, &rest, readBack)
	}
	whole := "" // a name for all of it, once it is needed
	ids := make([]store.EventID, 0, len(p.Items)+1)
	quiet := !p.Completed && !p.TakeControl && p.Status == "" // nothing but what the items say
	for _, it := range p.Items {
		switch it.Kind {
		case snow.KindTyping:
			b.typist.agent(conversation)
		case snow.KindTypingEnd:
		default:
			quiet = false
		}
		id := store.EventID{Name: "servicenow/" + session + "/" + it.ID}
		if it.Hashed {
			if whole == "" {
				whole = digest(p.Raw)
			}
			id.Name, id.Keep = id.Name+"/"+whole, hashedKeep
		}
		ids = append(ids, id)
	}
	if quiet && (len(p.Items) > 0 || readBack) {
		return nil // typing is never stored
	}
	if p.Completed || p.TakeControl || p.Status != "" {
		// A repeat may bring no new item and yet the end. What the flags say has an effect once anyway.
		ids = append(ids, store.EventID{Name: "flags/" + uuid.NewString(), Keep: time.Second})
	}
	return b.apply(ctx, conversation, ids, &postEvent{session: session, post: p, readBack: readBack})
}

// locate finds the conversation and the session a post belongs to, and checks that everything in it
// belongs together. Nothing in the post is trusted; an absent value is not a mismatch.
func (b *Bot) locate(ctx context.Context, p *snow.Event) (conversation, session string, err error) {
	v := p.Variables
	if v.BotID != "" && v.BotID != b.appID && v.BotID != "28:"+b.appID {
		return "", "", fmt.Errorf("%w: bot id", snow.ErrMismatch)
	}
	session = p.SessionID
	switch {
	case session != "":
		conversation, err = b.findSession(ctx, session)
	case v.ConversationID != "":
		conversation, err = b.store.Find(ctx, conversationKey(v.ConversationID))
	default:
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", "", snow.ErrUnknownSession
	}
	if err != nil {
		return "", "", fmt.Errorf("find session: %w", err)
	}
	r, err := b.store.Load(ctx, conversation)
	if errors.Is(err, store.ErrNotFound) {
		return "", "", snow.ErrUnknownSession
	}
	if err != nil {
		return "", "", fmt.Errorf("load conversation: %w", err)
	}
	s, err := b.states.read(&r)
	if err != nil {
		return "", "", err
	}
	if session == "" {
		if s.Session == nil {
			return "", "", snow.ErrUnknownSession
		}
		session = s.Session.ID
	}
	switch {
	case v.ConversationID != "" && v.ConversationID != s.Ref.ConversationID:
		return "", "", fmt.Errorf("%w: conversation", snow.ErrMismatch)
	case v.TenantID != "" && v.TenantID != s.Ref.TenantID:
		return "", "", fmt.Errorf("%w: tenant", snow.ErrMismatch)
	case v.SessionID != "" && v.SessionID != session:
		return "", "", fmt.Errorf("%w: session", snow.ErrMismatch)
	}
	if of, _, ok := strings.Cut(p.RequestID, requestMark); ok && of != session {
		if _, err := b.store.Find(ctx, sessionKey(of)); err == nil {
			return "", "", fmt.Errorf("%w: request", snow.ErrMismatch)
		}
	}
	return conversation, session, nil
}

// requestMark stands between the session and the delivery in a request id, so that a request id says
// which session it belongs to.
const requestMark = "."

func requestID(session, delivery string) string { return session + requestMark + delivery }

// apply handles one event in one commit.
func (b *Bot) apply(ctx context.Context, conversation string, ids []store.EventID, ev event) error {
	seed := uuid.NewString()
	var counts []count
	ran := false
	f := b.facts()
	err := b.store.Apply(ctx, conversation, ids, func(t *store.Turn) error {
		if ran = true; t.New && len(ids) == 0 {
			return errErased
		}
		return b.transit(t, seed, ev, f, &counts)
	})
	switch {
	case errors.Is(err, errErased):
		return nil
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	if p, ok := ev.(*postEvent); !ran && (!ok || !p.readBack) {
		counts = append(counts, count{"repeats", "whole"})
	}
	b.metrics.add(counts)
	return nil
}

// panicPause is when a timer is looked at again whose transition failed: soon enough to end a session within a minute of its limit.
const panicPause = 20 * time.Second

// transit runs the transition on a turn. One that panics changes nothing, and its event becomes a dead letter.
func (b *Bot) transit(t *store.Turn, seed string, ev event, f facts, counts *[]count) (err error) {
	before, err := b.states.read(t.Record)
	if err != nil {
		return err
	}
	if e, ok := ev.(*employeeEvent); ok && !e.interpreted && before.forBot() {
		return errUninterpreted
	}
	s := before.clone()
	c := &change{rules: &b.rules, now: t.Now, seed: seed, state: s, turn: t, facts: f}
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("transition failed; its event is kept as a dead letter, unless it is a timer, which is looked at again",
				"conversation", t.Record.ID, "event", fmt.Sprintf("%T", ev), "stack", string(debug.Stack()))
			t.Move, t.Drop, t.Deliver, t.Lines = nil, nil, nil, nil
			t.Bury = nil
			if _, timer := ev.(timerEvent); timer { // which would run out again at once, and of which there is nothing to keep
				t.Record.Due = t.Now.Add(panicPause)
			} else {
				t.Bury = []store.DeadLetter{{Reason: "transition failed", Delivery: store.Delivery{ID: seed, Kind: "event", Body: ev.raw()}}}
			}
			*counts = []count{{"panics", ""}}
			c.tellLost(ev)
			err = nil
		}
	}()
	ev.apply(c)
	s.forget(t.Now)
	*counts = c.counts
	due := s.due(&b.rules)
	if len(t.Record.Data) > 0 && s.equal(before) { // as with most words of an agent
		s.index(t.Record, due)
		return nil
	}
	if err := s.encode(t.Record, due); err != nil {
		return err
	}
	b.states.put(t.Record.ID, t.Record.Data, s) // if the commit fails, no record has these bytes
	return nil
}
