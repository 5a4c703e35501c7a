package bot

import (
	"context"
	"errors"
	"time"

	"snowbot/store"
)

// watch tells the employees with a live session when ServiceNow cannot be reached, and when it is reached again: also
// those who were told before a restart.
func (b *Bot) watch(ctx context.Context) error {
	h := b.hosts.get(instanceHost)
	tick := time.NewTicker(breakerProbe)
	defer tick.Stop()
	return b.rounds(ctx, "outages", func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if !b.told.Load() || !b.probe(ctx, h) {
				return nil
			}
		case <-h.news:
		}
		down := h.down.Load()
		if !down && (!h.well.Load() || b.limit.known() || !b.told.Load()) {
			return nil
		}
		if !down {
			b.mender.all() // what kept us from ServiceNow may have kept it from us
		}
		err := b.tellOutage(ctx, down)
		if errors.Is(err, store.ErrClosed) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			b.log.Error("cannot tell everyone of an outage; will try again", "err", err)
			h.tell()
		}
		pause(ctx, time.Second) // a host that comes and goes is not told of at every turn
		return nil
	})
}

// tellOutage goes through the live sessions once. Who was told is not told again, and who has words on the way is told by
// what becomes of them.
func (b *Bot) tellOutage(ctx context.Context, down bool) error {
	var ev event = outageOverEvent{}
	if down {
		ev = outageEvent{}
		b.log.Warn("ServiceNow cannot be reached; escalations are refused until it is")
	}
	b.told.Store(down)
	return b.eachSession(ctx, func(r store.Record, s *state) error {
		if s.Outage == down {
			return nil
		}
		if !down && s.Stuck != "" {
			b.told.Store(true)
			return nil
		}
		err := b.apply(ctx, r.ID, nil, ev)
		if err != nil {
			b.told.Store(true)
		}
		return err
	})
}

// probe calls ServiceNow for somebody who was told of the outage and has nothing on the way that would show its end. It
// reports whether ServiceNow answered.
func (b *Bot) probe(ctx context.Context, h *host) bool {
	var silent *state
	told := false
	err := b.eachSession(ctx, func(_ store.Record, s *state) error {
		told = told || s.Outage
		if s.Outage && s.Stuck == "" && s.Session.UserID != "" {
			silent = s
			return errEnough
		}
		return nil
	})
	if err == nil && !told {
		b.told.Store(false)
	}
	if silent == nil {
		return false
	}
	c := &claim{host: h, limit: &b.limit}
	if ok, _ := c.ask(); !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	chat, _ := b.chat(silent, silent.Session.ID)
	result := errNoCall
	defer func() { c.answered(result) }()
	// That nobody types is no news to anyone, and needs everything that words would need.
	err = b.snow.Typing(ctx, chat, requestID(chat.SessionID, "probe"), false)
	if ctx.Err() == nil { // we are stopping, or were too slow to say
		result = err
	}
	return health(result) == nil
}

// errEnough ends a walk through the sessions early.
var errEnough = errors.New("enough")

// eachSession calls f with every record that has a live session.
func (b *Bot) eachSession(ctx context.Context, f func(store.Record, *state) error) error {
	const slice = 200
	for after := ""; ; {
		records, err := b.store.Sessions(ctx, after, slice)
		if err != nil {
			return err
		}
		for _, r := range records {
			after = r.ID
			s, err := decodeState(&r)
			if err != nil || s.Session == nil {
				continue
			}
			if err := f(r, s); err != nil {
				return err
			}
		}
		if len(records) < slice {
			return nil
		}
	}
}

// ticksPause is how long an instance that takes no delivery reports is not sent any.
const ticksPause = time.Hour

// facts are what transitions are told of the world at present.
func (b *Bot) facts() facts {
	h, now := b.hosts.get(instanceHost), time.Now()
	return facts{outage: h.out() || h.down.Load() && b.limit.outlasts(now, now), ticksOff: b.ticksOff()}
}

func (b *Bot) ticksOff() bool { return b.now().UnixNano() < b.ticksUntil.Load() }

// refuseTicks notes that the instance does not take delivery reports.
func (b *Bot) refuseTicks() {
	b.metrics.add([]count{{"ticks refused", ""}})
	if b.rules.TicksAuto {
		b.ticksUntil.Store(b.now().Add(ticksPause).UnixNano())
	}
}
