package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

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
	// Store, Teams and ServiceNow are what the bot works on. Required.
	Store      store.Store
	Teams      Teams
	ServiceNow ServiceNow
	// Handler is the bot; nil is the built-in one, which greets, helps, and offers a person.
	Handler Handler
	// AppID is the bot's Microsoft app id: ServiceNow events for another bot are refused. Required.
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
	// Log gets ids, states and errors, never words, names or credentials; nil is none.
	Log *slog.Logger
	Now func() time.Time
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
	limit   callLimit
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
	b.limit.log = b.log
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
