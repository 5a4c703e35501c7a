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
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.news:
		}
		down := h.down.Load()
		if !down && !h.healthy.Load() {
			continue
		}
		for {
			err := b.tellOutage(ctx, down)
			if errors.Is(err, store.ErrClosed) {
				return err
			}
			if err == nil || ctx.Err() != nil || h.down.Load() != down {
				break
			}
			b.log.Error("cannot tell everyone of an outage; will try again", "err", err)
			pause(ctx, time.Second)
		}
	}
}

// tellOutage goes through the live sessions once. Who was told is not told again.
func (b *Bot) tellOutage(ctx context.Context, down bool) error {
	const slice = 200
	var ev event = outageOverEvent{}
	if down {
		ev = outageEvent{}
		b.log.Warn("ServiceNow cannot be reached; escalations are refused until it is")
	}
	for after := ""; ; {
		records, err := b.store.Sessions(ctx, after, slice)
		if err != nil {
			return err
		}
		for _, r := range records {
			after = r.ID
			s, err := decodeState(&r)
			if err != nil || s.Session == nil || s.Outage == down {
				continue
			}
			if err := b.apply(ctx, r.ID, nil, ev); err != nil {
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
	return facts{outage: b.hosts.get(instanceHost).out(), ticksOff: b.ticksOff()}
}

func (b *Bot) ticksOff() bool { return b.now().UnixNano() < b.ticksUntil.Load() }

// refuseTicks notes that the instance does not take delivery reports.
func (b *Bot) refuseTicks() {
	b.metrics.add([]count{{"ticks refused", ""}})
	if b.rules.TicksAuto {
		b.ticksUntil.Store(b.now().Add(ticksPause).UnixNano())
	}
}
