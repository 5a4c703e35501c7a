package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
)

// A peer is one of the two platforms, emulated, and the people who write there, in a process of its own: this program
// again, which takes orders on its standard input and answers each on its standard output, as JSON.

// A peerOrder is what a peer is to do.
type peerOrder struct {
	Do     string // open, await, end, down, up, load, state, result, reset, arrivals
	Bot    string // the address to write to
	Secret string // of the webhook
	Chats  int
	Silent bool // no agent is asked for
	Procs  int  // how many of its goroutines may run at once; 0 leaves it as it is
	Load   loadPlan
}

// A peerReply is what came of an order.
type peerReply struct {
	Error        string       `json:",omitempty"`
	Env          peerEnv      `json:",omitempty"`
	State        peerState    `json:",omitzero"`
	Result       loadResult   `json:",omitzero"`
	Arrivals     arrivalCount `json:",omitzero"`
	Conversation string       `json:",omitempty"` // as the service names it
}

// A peerEnv is what a service has to know of a platform.
type peerEnv map[string]string

// A peerState is how far a peer has come.
type peerState struct {
	Writing  bool
	Accepted int
	Arrived  int
}

// A benchPeer is a peer as its parent sees it.
type benchPeer struct {
	*childProcess
	hello peerReply
	in    io.WriteCloser
	to    *json.Encoder
	from  *json.Decoder
}

func startPeer(binary, side, profiles string, log io.Writer) (*benchPeer, error) {
	cmd := exec.Command(binary, "bench-peer", side, "--profile="+profiles) //nolint:noctx // this very program; it ends with its input
	cmd.Stderr = log
	cmd.SysProcAttr = dieWithParent()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the emulated %s: %w", side, err)
	}
	p := &benchPeer{
		childProcess: &childProcess{cmd: cmd, ended: make(chan struct{})},
		in:           in, to: json.NewEncoder(in), from: json.NewDecoder(out),
	}
	if err := p.from.Decode(&p.hello); err != nil {
		return nil, fmt.Errorf("start the emulated %s: %w", side, errors.Join(err, cmd.Wait()))
	}
	return p, nil
}

// ask gives an order and waits until it is carried out.
func (p *benchPeer) ask(o peerOrder) (r peerReply, err error) {
	if err := p.to.Encode(o); err != nil {
		return r, fmt.Errorf("order %s: %w", o.Do, err)
	}
	if err := p.from.Decode(&r); err != nil {
		return r, fmt.Errorf("order %s: %w", o.Do, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("order %s: %s", o.Do, r.Error)
	}
	return r, nil
}

func (p *benchPeer) stop() {
	p.in.Close()
	_ = p.wait() // it has nothing to say any more
}

// A platform is what a peer emulates.
type platform interface {
	env() peerEnv
	// open points it at a service and makes chats.
	open(ctx context.Context, o peerOrder) error
	// await returns when so many chats have an agent.
	await(ctx context.Context, chats int) error
	// end ends the chat that was made last, and returns the name of its conversation.
	end(ctx context.Context) (conversation string, err error)
	// down makes it refuse everything, or stops that.
	down(yes bool) error
	// say has somebody write in a chat, and returns nil when it was accepted.
	say(ctx context.Context, chat int, text string) error
	close()
}

type benchPeerCommand struct {
	Side    string `arg:"" enum:"teams,servicenow"`
	Profile string
}

// Run is a peer.
func (c *benchPeerCommand) Run() (err error) {
	debug.SetGCPercent(garbageMost) // a peer is not what is measured
	done, err := profile(c.Profile, c.Side)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	seen := &arrivals{newest: map[int]int{}}
	var p platform
	if c.Side == "teams" {
		p, err = newTeamsPlatform(seen)
	} else {
		p, err = newServiceNowPlatform(seen)
	}
	if err != nil {
		return err
	}
	defer p.close()
	w := &peerWork{platform: p, seen: seen}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	r := peerReply{Env: p.env()}
	for {
		if err := out.Encode(r); err != nil {
			return err
		}
		var o peerOrder
		if err := in.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		r, err = w.do(context.Background(), o)
		if err != nil {
			r.Error = err.Error()
		}
	}
}

// peerWork is what a peer has in hand.
type peerWork struct {
	platform
	seen    *arrivals
	numbers []int // by chat
	load    *load
	done    chan loadResult
	result  loadResult
}

func (w *peerWork) do(ctx context.Context, o peerOrder) (r peerReply, err error) {
	switch o.Do {
	case "open":
		runtime.GOMAXPROCS(o.Procs)
		return r, w.open(ctx, o)
	case "await":
		return r, w.await(ctx, o.Chats)
	case "end":
		r.Conversation, err = w.end(ctx)
	case "down", "up":
		err = w.down(o.Do == "down")
	case "load":
		if len(w.numbers) < o.Load.Chats {
			w.numbers = append(w.numbers, make([]int, o.Load.Chats-len(w.numbers))...)
		}
		w.load, w.done = &load{plan: o.Load, say: w.say, numbers: w.numbers}, make(chan loadResult, 1)
		go func(l *load, done chan<- loadResult) { done <- l.run(ctx) }(w.load, w.done)
	case "state":
		r.State.Arrived = w.seen.arrived()
		if w.load != nil {
			r.State.Accepted = int(w.load.accepted.Load())
			select {
			case w.result = <-w.done:
				w.load = nil
			default:
				r.State.Writing = true
			}
		} else {
			r.State.Accepted = w.result.Accepted
		}
	case "result":
		r.Result = w.result
	case "reset":
		w.seen.reset()
	case "arrivals":
		r.Arrivals = w.seen.all()
	default:
		err = errors.New("unknown order")
	}
	return r, err
}
