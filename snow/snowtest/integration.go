package snowtest

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// integration is POST /api/sn_va_as_service/bot/integration. All it says is that the request was taken; what is wrong
// with it beyond that makes it vanish, and the log's note says why.
func (i *Instance) integration(r *request) reply {
	switch {
	case r.Method != http.MethodPost:
		return failure(http.StatusMethodNotAllowed, "Method not supported", "")
	case mediaType(r.Header.Get("Content-Type")) != typeJSON:
		return failure(http.StatusUnsupportedMediaType, "Unsupported media type", "Content-Type must be application/json")
	case !accepts(r.Header.Values("Accept")):
		return failure(http.StatusNotAcceptable, "Not acceptable", "")
	case i.o.Disabled:
		return refused(http.StatusMethodNotAllowed, "Virtual Agent API is disabled", "")
	}
	c, err := decodeCall(r.body)
	if err != nil {
		return refused(http.StatusBadRequest, "Invalid request body", "The body is no JSON object")
	}
	r.session = c.sessionID
	if !i.trusted(r, c.token) {
		r.note = "message auth failed"
		return taken()
	}
	if r.note = i.missing(c); r.note != "" {
		return taken()
	}
	return i.dispatch(r, c)
}

// accepts reports whether JSON may be answered.
func accepts(accept []string) bool {
	all := strings.ToLower(strings.Join(accept, ","))
	return all == "" || strings.Contains(all, typeJSON) || strings.Contains(all, "*/*") || strings.Contains(all, "application/*")
}

func taken() reply { return answer(http.StatusOK, typeJSON, []byte(`{"status":"success"}`)) }

// refused is a failure as this API spells it.
func refused(status int, message, detail string) reply { return failure(status, message, detail) }

// missing names what a request lacks.
func (i *Instance) missing(c *call) string {
	switch {
	case c.userID == "":
		return "userId is missing"
	case len(i.o.Apps) > 0 && c.appInboundID == "":
		return "appInboundId is missing"
	}
	if _, ok := i.o.Apps[c.appInboundID]; len(i.o.Apps) > 0 && !ok {
		return "appInboundId is unknown"
	}
	switch c.action {
	case "":
		if c.text == "" && !c.hasAttachment {
			return "message.text is missing"
		}
	case actionEnd:
		if c.text != "" {
			return "message.text of END_CONVERSATION is not empty"
		}
	case actionAgent, actionStart, actionCreate, actionStartCreated, actionSwitch, actionTyping, actionViewing,
		actionTimezone, actionFault, actionHistory, actionUpdate:
	default:
		return "action is unknown"
	}
	return ""
}

// dispatch carries a request to its conversation.
func (i *Instance) dispatch(r *request, c *call) reply {
	if c.action == actionUpdate {
		return i.updateMessages(r, c)
	}
	if c.action == actionAgent && i.noAgents(c) == NoAgentsAckFailure {
		return refused(http.StatusOK, "Failed to add request to queue", "")
	}
	p := i.lock(c.userID)
	defer p.mu.Unlock()
	conv := p.conv
	switch c.action {
	case actionEnd, actionTyping, actionViewing, actionTimezone, actionHistory, actionFault:
		if conv == nil {
			r.note = "no open conversation"
			if c.action == actionFault && i.version.atLeast(4, 0, 0) {
				return answer(http.StatusOK, typeJSON, nil)
			}
			return taken()
		}
	}
	if conv != nil && conv.phase == phaseVirtual && p.busy > 0 && c.isWords() {
		r.note = "dropped, another request is being processed"
		return taken()
	}
	if c.requestID != "" && c.clientMessageID != "" && p.repeated(c.action+"\x00"+c.requestID+"\x00"+c.clientMessageID) {
		r.note = "duplicate"
		return taken()
	}
	conv = i.conversation(p)
	i.remember(conv, c)
	if i.o.Synchronous && (c.action == actionEnd || c.isWords() && !conv.atDesk()) {
		return i.speakAtOnce(conv, c)
	}
	r.note = i.act(conv, c)
	return taken()
}

// speakAtOnce answers a request with what the virtual agent says to it. The caller holds the person's lock.
func (i *Instance) speakAtOnce(conv *conversation, c *call) reply {
	var posts []*post
	if c.action == actionEnd {
		posts = []*post{i.endByUser(conv)}
	} else {
		conv.lastUser, conv.reminded = i.o.Now(), false
		posts = i.think(conv, c)
	}
	if len(posts) == 0 || conv.silent && posts[0].virtual {
		return taken()
	}
	all := &post{}
	for _, p := range posts {
		all.items = append(all.items, p.items...)
		all.agentChat, all.completed, all.takeControl = p.agentChat, p.completed, p.takeControl
		all.status, all.score, all.errorMessage = p.status, p.score, p.errorMessage
	}
	s := *i.settings()
	s.shape.OneItemPerPost = false
	bodies, err := i.render(conv, all, &s)
	if err != nil {
		return failure(http.StatusInternalServerError, "Internal error", "")
	}
	return answer(http.StatusOK, typeJSON, bodies[0])
}

// isWords reports whether the virtual agent has to think about a request.
func (c *call) isWords() bool {
	switch c.action {
	case "", actionAgent, actionStart, actionCreate, actionStartCreated, actionSwitch:
		return true
	}
	return false
}

// remember keeps what is echoed and shown. The caller holds the person's lock.
func (i *Instance) remember(conv *conversation, c *call) {
	conv.sessionID, conv.requestID = c.sessionID, c.requestID
	if len(c.message) > 0 {
		conv.message = c.message
	}
	conv.variables = c.variables // those of the last request alone
	if c.context != nil {
		conv.context = c.context
	}
	if c.silent != nil {
		conv.silent = *c.silent
	}
	or(&conv.appInboundID, c.appInboundID)
	if c.email != "" {
		conv.chat.Email = c.email
	}
	if conv.linked == nil {
		if conv.linked = i.link(c.email); conv.linked != nil {
			conv.chat.UserName = conv.linked.Name
		}
	}
	conv.requests++
	if conv.requests == 1 || i.o.LaterHistory || c.action == actionHistory {
		conv.history = append(conv.history, c.history...)
	}
}

const guest = "Guest"

// link finds the one active user with exactly that address. Without Message Auth nobody is linked.
func (i *Instance) link(email string) *User {
	if email == "" || i.o.MessageAuth.Kind == MessageAuthNone {
		return nil
	}
	var found *User
	for n := range i.o.Users {
		u := &i.o.Users[n]
		if u.Email != email {
			continue
		}
		if found != nil {
			return nil
		}
		found = u
	}
	if found == nil || found.Inactive || found.Locked {
		return nil
	}
	return found
}

// act does what a request asks for and returns a note for the log. The caller holds the person's lock.
func (i *Instance) act(conv *conversation, c *call) string {
	switch c.action {
	case actionTyping, actionViewing:
		conv.chat.UserTyping = c.action == actionTyping && conv.atDesk()
		i.touch(conv)
		return ""
	case actionTimezone, actionHistory:
		i.touch(conv)
		return ""
	case actionFault:
		i.close(conv, EndedFailed)
		i.enqueue(conv, &post{takeControl: true, score: new(0), status: statusFail})
		return ""
	case actionEnd:
		i.enqueue(conv, i.endByUser(conv))
		return ""
	}
	conv.lastUser, conv.reminded = i.o.Now(), false
	if conv.atDesk() {
		return i.hear(conv, c)
	}
	conv.person.busy++
	ok := i.do(conv.person, func(ctx context.Context) {
		if pause(ctx, i.o.Think) {
			i.virtual(ctx, conv, c)
		}
		conv.person.mu.Lock()
		conv.person.busy--
		conv.person.mu.Unlock()
	})
	if !ok {
		return "closing"
	}
	return ""
}

// endByUser ends a conversation as END_CONVERSATION does, and returns what is said to it: completed only once an agent is involved.
func (i *Instance) endByUser(conv *conversation) *post {
	p := &post{items: []item{textItem(i.o.Texts.UserEnded)}, completed: conv.phase != phaseVirtual, status: statusCompleted}
	why := EndedByUser
	if conv.phase == phaseQueued {
		why, p.status = Cancelled, statusCancelled
	}
	i.close(conv, why)
	return p
}

// hear puts the user's words before the agent. Words are never dropped here.
func (i *Instance) hear(conv *conversation, c *call) string {
	if c.hasAttachment && !i.version.atLeast(3, 14, 2) {
		return "lost, this version loses live messages with an attachment key"
	}
	conv.chat.UserTyping = false
	if c.text != "" {
		conv.add(&Line{
			ID: newID(), From: FromUser, Text: c.text, At: conv.lastUser, RequestID: c.requestID,
			ClientMessageID: c.clientMessageID, Selected: !c.typed,
		}, i.o.KeepLast)
		i.touch(conv)
		if i.o.Heard != nil {
			i.o.Heard(c.text)
		}
		if answer := i.settings().answer; answer != nil && conv.phase == phaseLive {
			i.autoAnswer(conv, c.text, answer)
		}
	}
	if len(c.attachments) > 0 {
		return i.attach(conv, c)
	}
	return ""
}

// autoAnswer lets the agent reply by itself.
func (i *Instance) autoAnswer(conv *conversation, text string, reply func(Chat, string) []string) {
	chat := conv.snapshot(false)
	i.do(conv.person, func(ctx context.Context) {
		for _, words := range reply(chat, text) {
			_ = i.run(ctx, conv, func() ([]*post, error) { return i.say(conv, textItem(words)) })
		}
	})
}

// updateMessages takes receipts and rewritten texts. It is answered at once and in plain text.
func (i *Instance) updateMessages(r *request, c *call) reply {
	if i.o.NoUpdates {
		return refused(http.StatusOK, "Message update is not enabled", "third_party_chat is not enabled for the channel")
	}
	if !c.updatesOK {
		return refused(http.StatusBadRequest, "Invalid request body", "message must be an array")
	}
	p := i.reg.known(c.userID)
	if p == nil {
		r.note = "no conversation"
		return answer(http.StatusOK, typeText, []byte("Message Processed Successfully"))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var unknown bool
	for _, u := range c.updates {
		conv, line := p.find(u.ID)
		if line == nil || (u.Status != "" && u.Status != ReceiptSent && u.Status != ReceiptError) {
			unknown = true
			continue
		}
		if u.Status != "" {
			line.Receipt = u.Status
		}
		if u.Text != nil && *u.Text != "" {
			line.Text, line.Updated = *u.Text, true
		}
		i.touch(conv)
	}
	if unknown {
		r.note = "a message or a status is unknown"
	}
	return answer(http.StatusOK, typeText, []byte("Message Processed Successfully"))
}

// find looks for an agent's message in the open conversation and in the last ones.
func (p *person) find(messageID string) (*conversation, *Line) {
	all := p.past
	if p.conv != nil {
		all = append(slices.Clone(p.past), p.conv)
	}
	for _, c := range slices.Backward(all) {
		if l := c.line(messageID); l != nil && l.From == FromAgent {
			return c, l
		}
	}
	return nil, nil
}
