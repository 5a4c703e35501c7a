package bot

import (
	"time"

	"snowbot/store"
)

// A Session is what may be shown of a live session: ids and times, no names and no words.
type Session struct {
	ID      string
	Status  string // connecting, waiting or connected
	Started time.Time
	Joined  time.Time // when an agent joined; zero while none has
}

// SessionOf reads the live session of a record. It reports false when there is none. A record that cannot be read
// is an error.
func SessionOf(r store.Record) (Session, bool, error) {
	s, err := decodeState(&r)
	if err != nil || s.Session == nil {
		return Session{}, false, err
	}
	return Session{ID: s.Session.ID, Status: string(s.Session.Phase), Started: s.Session.Started, Joined: s.Session.Joined}, true, nil
}

// Person is the masked name under which a store finds what it keeps of a person, for [store.Store.Erase] and
// [store.Store.Export]. User is the object id in Entra, or where Teams does not say that the id in Teams.
func Person(st store.Store, tenant, user string) string {
	return st.Mask("person/" + tenant + "/" + user)
}
