package snowtest

import (
	"context"
	"time"
)

// hourly is how often the job for idle conversations with the virtual agent runs.
const hourly = time.Hour

// End ends a live or queued chat by the agent. The last words, the news that the session was closed, the switch back to
// the virtual agent and the end are one post. With Options.Survey the questions follow and the end comes after them.
func (i *Instance) End(ctx context.Context, chatID, lastWords string) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		posts, err := i.end(c, lastWords)
		if err != nil {
			return nil, err
		}
		one := &post{}
		for _, p := range posts {
			one.items = append(one.items, p.items...)
			one.completed, one.status = p.completed, p.status
			if p.line != nil {
				one.line = p.line
			}
		}
		return i.finish(c, []*post{one}), nil
	})
}

// EndSeparately does what End does in a post for each item, the last one empty but for completed.
func (i *Instance) EndSeparately(ctx context.Context, chatID, lastWords string) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		posts, err := i.end(c, lastWords)
		if err != nil {
			return nil, err
		}
		return i.finish(c, posts), nil
	})
}

// end adds what is said at the end to the chat.
func (i *Instance) end(c *conversation, lastWords string) ([]*post, error) {
	switch c.phase {
	case phaseQueued, phaseLive:
	case phaseSurvey, phaseEnded:
		return nil, ErrEnded
	case phaseVirtual:
		return nil, ErrNotLive
	}
	var posts []*post
	if lastWords != "" && c.phase == phaseLive {
		it := textItem(lastWords)
		posts = append(posts, &post{agentChat: true, status: statusActive, line: i.speak(c, it), items: []item{it}})
	}
	i.note(c, i.o.Texts.Closed)
	last := &post{items: []item{actionItem("SwitchToVirtualAgent")}, completed: true, status: statusCompleted}
	closed := systemItem(named(i.o.Texts.Closed, i.display(c)))
	return append(posts, &post{items: []item{closed}, status: statusActive}, last), nil
}

// finish ends the conversation after posts, or begins the survey.
func (i *Instance) finish(c *conversation, posts []*post) []*post {
	s := i.settings()
	if !s.survey || s.dialect == DialectSpec || c.phase != phaseLive {
		i.close(c, EndedByAgent)
		return posts
	}
	posts[len(posts)-1].completed = false
	i.leaveDesk(c, EndedByAgent)
	c.phase, c.awaiting = phaseSurvey, awaitRating
	rating := picker("Picker", i.o.Texts.SurveyRating,
		[2]string{"Very satisfied", "5"}, [2]string{"Satisfied", "4"}, [2]string{"Neutral", "3"},
		[2]string{"Dissatisfied", "2"}, [2]string{"Very dissatisfied", "1"})
	return append(posts, told(rating)...)
}

// FailChat gives a chat up: takeControl in the official dialect, status fail with message in the other. The words are
// shown to the user.
func (i *Instance) FailChat(ctx context.Context, chatID, words, message string) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		if c.phase == phaseEnded || c.phase == phaseSurvey {
			return nil, ErrEnded
		}
		i.close(c, EndedFailed)
		p := &post{takeControl: true, score: new(0), status: statusFail, errorMessage: message}
		if words != "" {
			p.items = []item{textItem(words)}
		}
		return []*post{p}, nil
	})
}

// RunTimers looks at the idle limits, as the instance's scheduled jobs do: live chats when Options.IdleTick has passed
// since the last look, the virtual agent's conversations when an hour has. It returns when the webhook has answered what
// came of it, and may be called as often as one likes.
func (i *Instance) RunTimers(ctx context.Context) error {
	now := i.o.Now()
	i.timerMu.Lock()
	live, hour := now.Sub(i.liveTick) >= i.o.IdleTick, now.Sub(i.hourTick) >= hourly
	if live {
		i.liveTick = now
	}
	if hour {
		i.hourTick = now
	}
	i.timerMu.Unlock()
	if !live && !hour {
		return nil
	}
	var waits []chan struct{}
	for _, p := range i.reg.everyone() {
		p.mu.Lock()
		c := p.conv
		if c == nil || !i.idle(c, live, hour) {
			p.mu.Unlock()
			continue
		}
		done := make(chan struct{})
		ok := i.do(p, func(lane context.Context) {
			defer close(done)
			_ = i.run(lane, c, func() ([]*post, error) { return i.expire(c), nil })
		})
		p.mu.Unlock()
		if ok {
			waits = append(waits, done)
		}
	}
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// idle reports whether a limit of c has passed.
func (i *Instance) idle(c *conversation, live, hour bool) bool {
	silence := i.o.Now().Sub(c.lastUser)
	switch c.phase {
	case phaseLive:
		return live && (silence >= i.o.IdleCancel || (silence >= i.o.IdleRemind && !c.reminded))
	case phaseVirtual, phaseSurvey:
		return hour && silence >= i.o.BotIdle
	case phaseQueued, phaseEnded:
	}
	return false
}

// expire reminds the user, or closes the conversation.
func (i *Instance) expire(c *conversation) []*post {
	if !i.idle(c, true, true) {
		return nil // the user has spoken meanwhile
	}
	if c.phase != phaseLive {
		i.close(c, EndedIdle)
		return []*post{{items: []item{textItem(i.o.Texts.IdleClosed)}, takeControl: true, score: new(0), status: statusFail}}
	}
	if i.o.Now().Sub(c.lastUser) < i.o.IdleCancel {
		c.reminded = true
		i.note(c, i.o.Texts.Reminder)
		return []*post{{items: []item{systemItem(i.o.Texts.Reminder)}, agentChat: true, status: statusActive}}
	}
	i.note(c, i.o.Texts.IdleClosed)
	i.close(c, EndedIdle)
	return []*post{{items: []item{systemItem(i.o.Texts.IdleClosed)}, completed: true, status: statusCompleted}}
}
