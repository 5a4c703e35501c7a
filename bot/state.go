package bot

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// A phase is where a live session stands. It is kept in clear as the record's status.
type phase string

const (
	connecting phase = "connecting" // asked for an agent; ServiceNow has said nothing yet
	waiting    phase = "waiting"    // in the agents' queue
	connected  phase = "connected"  // an agent has it
)

// An endReason says why a session ended. Metrics and logs show it, so it does not change.
type endReason string

// The reasons.
const (
	endByAgent    endReason = "ended by agent"
	endByEmployee endReason = "ended by employee"
	endCancelled  endReason = "cancelled by employee"
	endNoAgents   endReason = "no agents"
	endFailed     endReason = "failed"
	endTimedOut   endReason = "timed out"
	endBotBlocked endReason = "bot blocked"
	endErased     endReason = "erased"
)

// A state is what the bot knows of one conversation. It is the record's Data, as JSON.
type state struct {
	Ref       adapter.Reference `json:"ref"`
	Installed bool              `json:"installed,omitempty"`
	// Owner counts the changes of ownership. Even: the bot has the conversation; odd: a session.
	Owner   int      `json:"owner,omitempty"`
	Session *session `json:"session,omitempty"`
	// Past are sessions that ended less than a day ago: their late events are known, and not shown.
	Past []ended `json:"past,omitempty"`
	// Forced are deliveries that an admin has sent although their session is over.
	Forced []string `json:"forced,omitempty"`
	// Offer is the session for which a ticket may be asked for.
	Offer string `json:"offer,omitempty"`
	// OfferTo is who may.
	OfferTo string `json:"offerTo,omitempty"`
	// Ticket is the session for which one is being made.
	Ticket string `json:"ticket,omitempty"`
	// Since is when the last agent left: what was said before has been in an agent's hands.
	Since time.Time `json:"since,omitzero"`
	// Outage reports that the employee was told that ServiceNow cannot be reached.
	Outage bool `json:"outage,omitempty"`
	// Stuck is the delivery to ServiceNow that has waited for so long: what becomes of it says more than any probe.
	Stuck string `json:"stuck,omitempty"`
	// Lapsed is when ServiceNow closed a chat because the employee had been silent.
	Lapsed time.Time `json:"lapsed,omitzero"`
	// Sent are the recent sends to Teams, so that they are known after a restart and to another replica.
	Sent *sends `json:"sent,omitempty"`
	// Apart is set after several messages went to Teams as one and it did not come to a good end.
	Apart *apart `json:"apart,omitempty"`
}

// An apart says that the first deliveries in the lane to Teams go one by one, having been sent together before.
type apart struct {
	N int `json:"n"`
	// Unclear reports that they may have been shown, so that each may be repeated once.
	Unclear bool `json:"unclear,omitempty"`
}

// A session is one escalation, from the wish for an agent to its end.
type session struct {
	ID    string `json:"id"`
	Phase phase  `json:"phase"`
	// Person is the employee's id in Teams; in a group others may write too.
	Person string `json:"person"`
	// Live is the masked name of the person; no other conversation may hold it meanwhile.
	Live string `json:"live"`
	// UserID and Email are what ServiceNow knows the employee by. They are looked up before the first request.
	UserID string `json:"userId,omitempty"`
	Email  string `json:"email,omitempty"`

	Started   time.Time `json:"started"`
	Requested time.Time `json:"requested,omitzero"` // ServiceNow took the request for an agent
	Heard     time.Time `json:"heard,omitzero"`     // the first event of this session, or the last answer given to ServiceNow's own bot
	Joined    time.Time `json:"joined,omitzero"`
	Spoke     time.Time `json:"spoke,omitzero"` // the employee's last words since the agent joined
	Warned    bool      `json:"warned,omitempty"`
	// Asked reports that ServiceNow's own bot waits for an answer: before there is an agent, or after.
	Asked bool `json:"asked,omitempty"`
	// Nobody is when ServiceNow said that there is no agent; see [Rules.NoAgents].
	Nobody time.Time `json:"nobody,omitzero"`
	// Closing is when ServiceNow last said something after a sentence that an agent has closed the chat; see [Rules.Closed].
	Closing time.Time `json:"closing,omitzero"`
	// Closed is when that sentence came. What was accepted before, and waits, would be taken by ServiceNow's own bot.
	Closed time.Time `json:"closed,omitzero"`
	// Broken is the agent's message of which a part was given up: it is not ticked.
	Broken string `json:"broken,omitempty"`
	// Unnamed reports that messages of the agent come without an id, so that one that is read back cannot be told from one
	// that was shown.
	Unnamed bool `json:"unnamed,omitempty"`
	// Explained is why messages of the agent were given up, which the agent was told.
	Explained failure `json:"explained,omitempty"`
	// Answered is the card whose question was answered last.
	Answered string `json:"answered,omitempty"`

	AgentID   string `json:"agentId,omitempty"`
	AgentName string `json:"agentName,omitempty"`
	WaitTime  string `json:"waitTime,omitempty"`
	Held      bool   `json:"held,omitempty"` // the employee was told that words are kept
	// System is a fingerprint of the last system text shown before an agent joined; they repeat.
	System string `json:"system,omitempty"`
	// Announced is what ServiceNow said when the agent joined, which often has the name that nothing else has yet.
	Announced string `json:"announced,omitempty"`

	Card card `json:"card"`
}

// A card is the status card of a session.
type card struct {
	ActivityID string `json:"activityId,omitempty"`
	Version    int    `json:"version"`
}

// An ended session is one whose late events are still known.
type ended struct {
	ID    string    `json:"id"`
	Ended time.Time `json:"ended"`
	Card  card      `json:"card"`
	// Person, UserID and Email are kept for what is still to be sent to ServiceNow.
	Person string `json:"person,omitempty"`
	UserID string `json:"userId,omitempty"`
	Email  string `json:"email,omitempty"`
	// ByEmployee reports that words accepted before the end are still to reach the agent.
	ByEmployee bool `json:"byEmployee,omitempty"`
	// Joined reports that there was an agent.
	Joined bool `json:"joined,omitempty"`
	// Untold is how much is still to be sent that tells the two sides of the end. An erasure waits for it.
	Untold int `json:"untold,omitempty"`
	// Live is the masked name of the person, for as long as it matters whether they have another chat; see overtaken.go.
	Live string `json:"live,omitempty"`
	// Ending reports that no other conversation may hold that name yet.
	Ending bool `json:"ending,omitempty"`
	// Again is how often ServiceNow was told once more, because it went on.
	Again int `json:"again,omitempty"`
}

// lateFor is how long events of an ended session are known as such.
const lateFor = store.KeepMax

// pastMax bounds Past, so that a record stays small. Those before are known by what [change.noteFormer] has kept.
const pastMax = 8

// Keys under which a record can be found.
func sessionKey(id string) string             { return "session/" + id }
func conversationKey(id string) string        { return "conversation/" + id }
func liveKey(masked string) string            { return "live/" + masked }
func conversationID(tenant, id string) string { return tenant + "/" + id }

// decodeState reads a record. A record that cannot be read is an error: nothing is overwritten.
func decodeState(r *store.Record) (*state, error) {
	s := &state{}
	if len(r.Data) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(r.Data, s); err != nil {
		return nil, fmt.Errorf("state of conversation is not readable: %w", err)
	}
	return s, nil
}

// clone returns a copy that shares nothing which is ever edited: Sent is replaced as a whole.
func (s *state) clone() *state {
	c := *s
	if s.Session != nil {
		session := *s.Session
		c.Session = &session
	}
	if s.Apart != nil {
		apart := *s.Apart
		c.Apart = &apart
	}
	c.Past, c.Forced = slices.Clone(s.Past), slices.Clone(s.Forced)
	return &c
}

// equal reports whether s says the same as o. Sent is looked at from outside, since it is replaced as a whole.
func (s *state) equal(o *state) bool {
	return s.Ref == o.Ref && s.Installed == o.Installed && s.Owner == o.Owner && same(s.Session, o.Session) &&
		slices.Equal(s.Past, o.Past) && s.Offer == o.Offer && s.OfferTo == o.OfferTo && s.Ticket == o.Ticket &&
		s.Since.Equal(o.Since) && s.Outage == o.Outage && s.Stuck == o.Stuck && s.Lapsed.Equal(o.Lapsed) &&
		slices.Equal(s.Forced, o.Forced) && s.Sent == o.Sent && same(s.Apart, o.Apart)
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// encode writes the state into the record, with everything the store indexes.
func (s *state) encode(r *store.Record, due time.Time) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	r.Data = data
	s.index(r, due)
	return nil
}

// index writes into the record what the store indexes.
func (s *state) index(r *store.Record, due time.Time) {
	r.Due, r.Status, r.Keys = due, "", r.Keys[:0]
	for _, p := range s.Past {
		r.Keys = append(r.Keys, sessionKey(p.ID))
		if key := liveKey(p.Live); p.Ending && !slices.Contains(r.Keys, key) {
			r.Keys = append(r.Keys, key)
		}
	}
	if s.Session != nil {
		r.Status = string(s.Session.Phase)
		r.Keys = append(r.Keys, sessionKey(s.Session.ID), conversationKey(s.Ref.ConversationID))
		if key := liveKey(s.Session.Live); !slices.Contains(r.Keys, key) {
			r.Keys = append(r.Keys, key)
		}
	}
}

// forget drops what is past its time.
func (s *state) forget(now time.Time) {
	s.Past = slices.DeleteFunc(s.Past, func(p ended) bool { return now.Sub(p.Ended) >= lateFor })
	if n := len(s.Past) - pastMax; n > 0 {
		s.Past = slices.Delete(s.Past, 0, n)
	}
	for i := range s.Past {
		p := &s.Past[i]
		p.Ending = p.Ending && now.Sub(p.Ended) < endingFor
		if now.Sub(p.Ended) >= overtakenFor {
			p.Live = ""
		}
	}
}

// past returns the past session with the id, or nil.
func (s *state) past(id string) *ended {
	for i := range s.Past {
		if s.Past[i].ID == id {
			return &s.Past[i]
		}
	}
	return nil
}

// person is the id in Teams of whose session it is; of one that is not known, whoever spoke last.
func (s *state) person(session string) string {
	if s.live(session) {
		return s.Session.Person
	}
	if p := s.past(session); p != nil {
		return firstOf(p.Person, s.Ref.UserID)
	}
	return s.Ref.UserID
}

// forBot reports whether what the employee says next is for the bot: no session is on, or its agent has closed it in words and
// nothing was asked since.
func (s *state) forBot() bool {
	return s.Session == nil || !s.Session.Closing.IsZero() && !s.Session.Asked
}

// live reports whether the session with the id is on.
func (s *state) live(id string) bool { return s.Session != nil && s.Session.ID == id }
