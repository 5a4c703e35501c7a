package bot

import (
	"context"
	"fmt"
	"time"

	"snowbot/store"
)

// erased is the record to which the sessions of erased conversations belong, as far as they are known: it holds nothing else, and
// leads to nobody. No conversation has that name.
const erased = "erased"

// Erase removes every conversation that holds words of a person (see [Person]), with all that belongs to it, and returns how many there
// were. It ends no session; [Bot.EndSessions] does. What stays for a day from its end are hashes of the random ids of the last sessions, so
// that what ServiceNow posts late of them is dropped as that of any session that is over, rather than refused as an error.
func Erase(ctx context.Context, st store.Store, person string, now time.Time) (int, error) {
	ends := map[string]time.Time{}
	err := st.Export(ctx, person, func(r store.Record, _ []store.Line) error {
		s, err := decodeState(&r)
		if err != nil { // it is to go, whatever it was
			s = &state{}
		}
		for _, p := range s.Past {
			if now.Sub(p.Ended) < lateFor {
				ends[p.ID] = p.Ended
			}
		}
		if s.Session != nil {
			ends[s.Session.ID] = now
		}
		return nil
	})
	if err == nil && len(ends) > 0 {
		err = st.Apply(ctx, erased, nil, func(*store.Turn) error { return nil })
	}
	for session, ended := range ends {
		if err == nil {
			err = st.PutFile(ctx, store.File{ID: formerID(session), Conversation: erased, Expires: ended.Add(lateFor)})
		}
	}
	if err != nil {
		return 0, fmt.Errorf("note what is erased: %w", err)
	}
	n, err := st.Erase(ctx, person)
	if err != nil {
		return 0, fmt.Errorf("erase: %w", err)
	}
	return n, nil
}
