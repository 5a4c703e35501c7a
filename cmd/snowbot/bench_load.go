package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A loadPlan says how one side writes.
type loadPlan struct {
	Chats, Senders int
	For            time.Duration
	Rate           float64 // messages a second of all senders, whatever the answers take; 0: each sender writes when it was answered
	Count          int     // of messages; 0 is as many as there is time for
}

// A loadResult is what was written.
type loadResult struct {
	Accepted, Refused int
	Start             time.Time
	Took              time.Duration // until the last answer
	Answers           []uint32      // microseconds from the moment a message was due to its answer
}

// A load writes numbered messages, one after the other in each chat, so that their order can be checked.
type load struct {
	plan     loadPlan
	say      func(ctx context.Context, chat int, text string) error
	numbers  []int // by chat; the last one written
	accepted atomic.Int64
	refused  atomic.Int64
	begun    atomic.Int64
}

// run writes until the plan is fulfilled.
func (l *load) run(ctx context.Context) loadResult {
	senders := min(l.plan.Senders, l.plan.Chats)
	answers := make([][]uint32, senders)
	var wg sync.WaitGroup
	start := time.Now()
	for s := range senders {
		wg.Go(func() { answers[s] = l.send(ctx, s, senders, start) })
	}
	wg.Wait()
	r := loadResult{Accepted: int(l.accepted.Load()), Refused: int(l.refused.Load()), Start: start, Took: time.Since(start)}
	for _, a := range answers {
		r.Answers = append(r.Answers, a...)
	}
	return r
}

// send is one sender, whose chats are its own.
func (l *load) send(ctx context.Context, s, senders int, start time.Time) (answers []uint32) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	chat := s
	for k := 0; ctx.Err() == nil; k++ {
		due := time.Now()
		if l.plan.Rate > 0 {
			due = start.Add(time.Duration(float64(k*senders+s) / l.plan.Rate * float64(time.Second)))
			if due.Sub(start) >= l.plan.For {
				return answers
			}
			if wait := time.Until(due); wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				due = time.Now() // how late a timer is is nobody's fault
			}
		}
		if due.Sub(start) >= l.plan.For || l.plan.Count > 0 && l.begun.Add(1) > int64(l.plan.Count) {
			return answers
		}
		l.numbers[chat]++
		if err := l.say(ctx, chat, mark(chat, l.numbers[chat], due)); err != nil {
			l.refused.Add(1)
		} else {
			l.accepted.Add(1)
			answers = append(answers, uint32(time.Since(due).Microseconds())) // within an hour
		}
		if chat += senders; chat >= l.plan.Chats {
			chat = s
		}
	}
	return answers
}

const markStart = "Have you tried turning it off and on again? [b "

// mark is the text of a message: it names the chat, counts, and says when it was due.
func mark(chat, number int, due time.Time) string {
	b := append(make([]byte, 0, len(markStart)+48), markStart...)
	b = strconv.AppendInt(b, int64(chat), 10)
	b = strconv.AppendInt(append(b, ' '), int64(number), 10)
	b = strconv.AppendInt(append(b, ' '), due.UnixNano(), 10)
	return string(append(b, ']'))
}

// readMark finds a mark in whatever was on the wire.
func readMark(wire string) (chat, number int, due time.Time, ok bool) {
	_, rest, ok := strings.Cut(wire, markStart)
	if !ok {
		return 0, 0, time.Time{}, false
	}
	inner, _, ok := strings.Cut(rest, "]")
	if !ok {
		return 0, 0, time.Time{}, false
	}
	first, rest, _ := strings.Cut(inner, " ")
	second, third, _ := strings.Cut(rest, " ")
	chat, err1 := strconv.Atoi(first)
	number, err2 := strconv.Atoi(second)
	nanos, err3 := strconv.ParseInt(third, 10, 64)
	return chat, number, time.Unix(0, nanos), err1 == nil && err2 == nil && err3 == nil
}

// An arrivalCount is what has come through to the other side.
type arrivalCount struct {
	Arrived   int
	Repeated  int
	Missing   int // numbers that were left out
	First     time.Time
	Last      time.Time
	Latencies []uint32 // microseconds from the moment a message was due to its arrival
}

// arrivals count what comes through.
type arrivals struct {
	mu     sync.Mutex
	count  arrivalCount
	newest map[int]int // by chat; the first one that is seen is believed
}

// take takes in what was on the wire, if it is a message.
func (a *arrivals) take(wire string) {
	chat, number, due, ok := readMark(wire)
	if !ok {
		return
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.newest[chat]
	switch {
	case known && number <= before:
		a.count.Repeated++
		return
	case known && number > before+1:
		a.count.Missing += number - before - 1
	}
	a.newest[chat] = number
	a.count.Arrived++
	if a.count.First.IsZero() {
		a.count.First = now
	}
	a.count.Last = now
	a.count.Latencies = append(a.count.Latencies, uint32(now.Sub(due).Microseconds())) // within an hour
}

// reset begins anew.
func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count, a.newest = arrivalCount{}, map[int]int{}
}

func (a *arrivals) arrived() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count.Arrived
}

// all returns a copy.
func (a *arrivals) all() arrivalCount {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.count
	c.Latencies = slices.Clone(c.Latencies)
	return c
}
