package history

import (
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// Delays of the faults: one that only gets things out of step, and one past the time-out of the service's own sends.
const (
	shortDelay = 30 * time.Millisecond
	longDelay  = 9 * time.Second
)

// A use says what a fault may be used for.
type use int

const (
	anything  use = iota
	firstTry      // an activity that nobody would miss may be lost by two of these in a row, so the first attempt only
	marked        // test messages: their writer learns that they were refused
	someWords     // test messages, and only one fault in sixty, since it takes long
	posts         // not for reading
)

// An odds is a fault with its weight among the others.
type odds struct {
	weight int
	use    use
}

// dice choose the faults. What they show depends on the seed and on the request alone: which conversation, which words, and how often
// they have come. So a seed has the same faults whatever the scheduler does. The emulators lock while they ask.
type dice struct {
	seed    uint64
	rate    float64
	odds    []odds
	rolled  map[string]uint64 // how often a request of that name came
	tried   map[uint64]int    // how often one with that body came, lately
	before  map[uint64]int    // the same, a while ago
	choice  int
	thrown  int
	chances int
}

func newDice(seed uint64, rate float64) *dice {
	return &dice{seed: seed, rate: rate, rolled: map[string]uint64{}, tried: map[uint64]int{}, choice: -1}
}

// roll decides on one request.
func (d *dice) roll(name string, body []byte, isMarked, reading bool) {
	h := fnv.New64a()
	_, _ = h.Write(body)
	sum := h.Sum64()
	if len(d.tried) > 100_000 {
		d.before, d.tried = d.tried, map[uint64]int{}
	}
	d.tried[sum]++
	attempt := d.tried[sum] + d.before[sum]
	d.rolled[name]++
	d.chances++
	d.choice = -1
	h.Reset()
	_, _ = h.Write([]byte(name))
	r := mix(d.seed ^ h.Sum64() ^ mix(d.rolled[name]))
	if float64(r>>11)/(1<<53) >= d.rate {
		return
	}
	total := 0
	fits := func(o odds) bool {
		switch o.use {
		case firstTry:
			return isMarked || attempt == 1
		case marked:
			return isMarked
		case someWords:
			return isMarked && mix(r)%60 == 0
		case posts:
			return !reading
		default:
			return true
		}
	}
	for _, o := range d.odds {
		if fits(o) {
			total += o.weight
		}
	}
	if total == 0 {
		return
	}
	at := int(mix(r+1) % uint64(total)) // less than total
	for i, o := range d.odds {
		if !fits(o) {
			continue
		}
		if at -= o.weight; at < 0 {
			d.choice = i
			d.thrown++
			return
		}
	}
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// teamsFaults arms the faults of Teams, on what the service sends or on what it is sent.
func teamsFaults(c *adaptertest.Channel, d *dice, direction adaptertest.Direction, numberOf func(conversation string) int32) (disarm []func()) {
	add := func(weight int, u use, f adaptertest.Fault) {
		choice := len(d.odds)
		d.odds = append(d.odds, odds{weight, u})
		f.Direction = direction
		f.Match = func(adaptertest.FaultRequest) bool { return d.choice == choice }
		disarm = append(disarm, c.AddFault(f))
	}
	status := func(code int) adaptertest.Fault { return adaptertest.Fault{Kind: adaptertest.Status, Status: code} }
	with := func(f adaptertest.Fault) adaptertest.Fault { f.Effect = true; return f }
	own := FromAgent
	if direction == adaptertest.Out {
		own = FromEmployee
	}
	disarm = append(disarm, c.AddFault(adaptertest.Fault{Direction: direction, Kind: adaptertest.Drop, Match: func(r adaptertest.FaultRequest) bool {
		d.choice = -1
		if direction == adaptertest.Out || strings.Contains(r.Path, "/v3/conversations/") {
			marks := Marks(string(r.Body), own)
			d.roll(nameOf(numberOf(r.Conversation), r.Method, marks), r.Body, len(marks) > 0, r.Method == http.MethodGet)
		}
		return false
	}}))
	if direction == adaptertest.Out {
		add(3, anything, adaptertest.Fault{Kind: adaptertest.Drop})
		add(3, anything, adaptertest.Fault{Kind: adaptertest.ResetBeforeEffect})
		add(4, anything, adaptertest.Fault{Kind: adaptertest.ResetAfterEffect})
		add(3, anything, status(http.StatusBadGateway))
		add(3, anything, with(status(http.StatusGatewayTimeout)))
		add(4, anything, adaptertest.Fault{Kind: adaptertest.Duplicate})
		add(4, anything, adaptertest.Fault{Kind: adaptertest.Reorder})
		add(2, anything, adaptertest.Fault{Kind: adaptertest.Delay, Delay: shortDelay})
		return disarm
	}
	add(4, posts, adaptertest.Fault{Kind: adaptertest.ResetAfterEffect})
	add(2, posts, adaptertest.Fault{Kind: adaptertest.TruncatedBody})
	add(4, posts, with(status(http.StatusBadGateway)))
	add(2, posts, with(status(http.StatusInternalServerError)))
	add(4, anything, status(http.StatusServiceUnavailable))
	add(2, anything, status(http.StatusPreconditionFailed))
	add(2, anything, adaptertest.Fault{Kind: adaptertest.Status, Status: http.StatusTooManyRequests, RetryAfter: time.Second})
	add(3, anything, adaptertest.Fault{Kind: adaptertest.HTML})
	add(3, anything, adaptertest.Fault{Kind: adaptertest.Delay, Delay: shortDelay})
	add(3, firstTry, status(http.StatusInternalServerError))
	add(3, firstTry, adaptertest.Fault{Kind: adaptertest.ResetBeforeEffect})
	add(1, marked, status(http.StatusBadRequest))
	add(40, someWords, with(adaptertest.Fault{Kind: adaptertest.Delay, Delay: longDelay}))
	add(40, someWords, adaptertest.Fault{Kind: adaptertest.Drop})
	return disarm
}

// serviceNowFaults arms the faults of the instance, on what it is asked or on what it posts.
func serviceNowFaults(i *snowtest.Instance, d *dice, direction snowtest.Direction, numberOf func(conversation string) int32) (disarm []func(), failed error) {
	arm := func(f snowtest.Fault) {
		f.Direction = direction
		remove, err := i.AddFault(f)
		if err != nil {
			failed = err
			return
		}
		disarm = append(disarm, remove)
	}
	add := func(weight int, u use, f snowtest.Fault) {
		choice := len(d.odds)
		d.odds = append(d.odds, odds{weight, u})
		f.Match = func(snowtest.FaultRequest) bool { return d.choice == choice }
		arm(f)
	}
	status := func(code int) snowtest.Fault { return snowtest.Fault{Kind: snowtest.FaultStatus, Status: code} }
	with := func(f snowtest.Fault) snowtest.Fault { f.AfterEffect = true; return f }
	own := FromEmployee
	if direction == snowtest.Out {
		own = FromAgent
	}
	arm(snowtest.Fault{Kind: snowtest.FaultDrop, Match: func(r snowtest.FaultRequest) bool {
		d.choice = -1
		if direction == snowtest.Out || strings.HasSuffix(r.Path, "/bot/integration") {
			var marks []Mark
			if r.Action == "" || r.Action == "message" { // the rest may carry words in a transcript
				marks = Marks(string(r.Body), own)
			}
			d.roll(nameOf(numberOf(conversationOf(string(r.Body))), r.Action, marks), r.Body, len(marks) > 0, false)
		}
		return false
	}})
	if direction == snowtest.Out {
		add(3, anything, snowtest.Fault{Kind: snowtest.FaultDrop})
		add(4, anything, snowtest.Fault{Kind: snowtest.FaultReset})
		add(4, anything, snowtest.Fault{Kind: snowtest.FaultDuplicate})
		add(4, anything, snowtest.Fault{Kind: snowtest.FaultReorder})
		add(2, anything, snowtest.Fault{Kind: snowtest.FaultDelay, Delay: shortDelay})
		return disarm, failed
	}
	add(3, anything, snowtest.Fault{Kind: snowtest.FaultReset})
	add(4, anything, with(snowtest.Fault{Kind: snowtest.FaultReset}))
	add(4, anything, status(http.StatusServiceUnavailable))
	add(4, anything, with(status(http.StatusGatewayTimeout)))
	add(3, anything, with(status(http.StatusInternalServerError)))
	add(1, anything, snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Second})
	add(1, anything, snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Second, RetryAfterDate: true})
	add(3, anything, snowtest.Fault{Kind: snowtest.FaultHTML})
	add(3, anything, snowtest.Fault{Kind: snowtest.FaultDelay, Delay: shortDelay})
	add(1, marked, status(http.StatusBadRequest))
	add(20, someWords, with(snowtest.Fault{Kind: snowtest.FaultDelay, Delay: longDelay}))
	add(20, someWords, snowtest.Fault{Kind: snowtest.FaultDelay, Delay: longDelay}) // it takes effect when the service has given up, and repeated it
	return disarm, failed
}

// nameOf is what stays the same of a request from one run to the next.
func nameOf(conversation int32, what string, marks []Mark) string {
	if len(marks) > 0 {
		return what + marks[0].String()
	}
	return what + Mark{Conversation: conversation, Direction: FromEmployee}.String()
}
