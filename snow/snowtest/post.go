package snowtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// An item is an element of body[], in the official dialect. The value of agentInfo may be an Agent, who is spelled out
// when the item is rendered.
type item = map[string]any

// A status is what DialectSpec adds to a post.
const (
	statusActive    = "active"
	statusWaiting   = "waiting"
	statusConnected = "connected"
	statusCompleted = "completed"
	statusFail      = "fail"
	statusCancelled = "cancelled"
)

// A post is one callback before it is spelled in a dialect.
type post struct {
	items        []item
	agentChat    bool
	completed    bool
	takeControl  bool // in the official meaning
	score        *int // default 1
	status       string
	errorMessage string
	virtual      bool // what silentMessage suppresses
	line         *Line
	raw          []byte // instead of everything else
}

func textItem(text string) item {
	return item{"uiType": "OutputText", "group": "DefaultText", "maskType": "NONE", "value": text, "messageId": newID()}
}

func actionItem(actionType string) item {
	return item{"uiType": "ActionMsg", "actionType": actionType, "messageId": newID()}
}

func systemItem(text string) item {
	it := actionItem("System")
	it["message"] = text
	return it
}

// picker builds a Picker; each option is a label and its value.
func picker(uiType, label string, options ...[2]string) item {
	list := make([]map[string]any, len(options))
	for n, o := range options {
		list[n] = map[string]any{"label": o[0], "value": o[1], "renderStyle": "data", "enabled": false}
	}
	it := item{
		"uiType": uiType, "group": "DefaultPicker", "required": true, "itemType": "List", "style": "list",
		"multiSelect": false, "options": list, "messageId": newID(),
	}
	if uiType == "TopicPickerControl" {
		it["promptMsg"] = label
	} else {
		it["label"] = label
	}
	return it
}

// render spells a post in the current dialect and shape: one body, or several when items travel alone. The caller holds
// the person's lock.
func (i *Instance) render(c *conversation, p *post, s *settings) ([][]byte, error) {
	if p.raw != nil {
		return [][]byte{p.raw}, nil
	}
	var items []any
	if s.dialect == DialectSpec {
		items = i.specItems(c, p)
	} else {
		items = i.officialItems(p, s.shape)
	}
	if !s.shape.OneItemPerPost || len(items) < 2 {
		b, err := i.envelop(c, p, s, items, true)
		return [][]byte{b}, err
	}
	bodies := make([][]byte, len(items))
	for n := range items {
		b, err := i.envelop(c, p, s, items[n:n+1], n == len(items)-1)
		if err != nil {
			return nil, err
		}
		bodies[n] = b
	}
	return bodies, nil
}

// officialItems fills in the agent and drops what the version or the shape leaves out.
func (i *Instance) officialItems(p *post, shape Shape) []any {
	withIDs := i.version.atLeast(4, 0, 0) && !shape.OmitOptional
	items := make([]any, 0, len(p.items))
	for _, it := range p.items {
		if w, ok := i.words(it); ok && withIDs {
			items = append(items, w)
			continue
		}
		it = maps.Clone(it)
		if a, ok := it["agentInfo"].(Agent); ok {
			it["agentInfo"] = i.agentInfo(a, shape)
		}
		if !withIDs {
			delete(it, "messageId")
		}
		if shape.OmitOptional {
			delete(it, "group")
			delete(it, "maskType")
		}
		items = append(items, it)
	}
	return items
}

// A words is an item without anything special, as most are that a load test makes. A struct is spelled in a third of the time
// of a map, in the same order.
type words struct {
	AgentInfo *agentInfo `json:"agentInfo,omitempty"`
	Group     string     `json:"group,omitempty"`
	MaskType  string     `json:"maskType,omitempty"`
	MessageID string     `json:"messageId,omitempty"`
	UIType    string     `json:"uiType,omitempty"`
	Value     string     `json:"value,omitempty"`
}

// words returns an item as words, if there is no more to it.
func (i *Instance) words(it item) (w *words, ok bool) {
	w = new(words)
	for name, value := range it {
		if a, ok := value.(Agent); ok && name == "agentInfo" {
			w.AgentInfo = new(i.agentInfo(a, Shape{}))
			continue
		}
		text, _ := value.(string)
		if text == "" {
			return nil, false
		}
		switch name {
		case "group":
			w.Group = text
		case "maskType":
			w.MaskType = text
		case "messageId":
			w.MessageID = text
		case "uiType":
			w.UIType = text
		case "value":
			w.Value = text
		default:
			return nil, false
		}
	}
	return w, true
}

// An agentInfo is what the official dialect says of an agent.
type agentInfo struct {
	Avatar        string `json:"agentAvatar,omitempty"`
	ID            string `json:"agentId,omitempty"`
	Name          string `json:"agentName,omitempty"`
	SentFromAgent bool   `json:"sentFromAgent"`
}

func (i *Instance) agentInfo(a Agent, shape Shape) agentInfo {
	info := agentInfo{SentFromAgent: true}
	if i.o.AgentNames && !shape.OmitOptional {
		info.Name, info.Avatar = a.Name, a.AvatarURL
	}
	if i.version.atLeast(3, 14, 3) && !shape.OmitOptional {
		info.ID = a.ID
	}
	return info
}

// specItems says the same with the few words of the other dialect.
func (i *Instance) specItems(c *conversation, p *post) []any {
	items := []any{}
	ended := false
	for _, it := range p.items {
		it = maps.Clone(it)
		for _, name := range []string{"messageId", "group", "maskType", "itemType"} {
			delete(it, name)
		}
		if a, ok := it["agentInfo"].(Agent); ok {
			it["agentInfo"] = map[string]any{"agentName": a.Name}
		}
		switch it["uiType"] {
		case "OutputText":
			if text, ok := it["value"].(string); ok {
				delete(it, "value")
				it["message"] = text
			}
		case "ActionMsg":
			switch it["actionType"] {
			case "SwitchToLiveAgent":
				it["actionType"] = "AgentControl"
				it["agentInfo"] = map[string]any{"agentName": c.agent.Name}
			case "SwitchToVirtualAgent":
				it["actionType"], ended = "EndConversation", true
			case "StartSpinner":
				wait, _ := it["waitTime"].(string)
				if wait == "" {
					continue
				}
				it = item{
					"uiType": "ActionMsg", "actionType": "System",
					"message": strings.ReplaceAll(i.o.Texts.Wait, "{time}", wait),
				}
			case "System":
			default:
				if _, documented := officialActions[fmt.Sprint(it["actionType"])]; documented {
					continue // this dialect knows no such thing
				}
			}
		}
		items = append(items, it)
	}
	switch p.status {
	case statusCancelled:
		return []any{} // the status is all the news
	case statusCompleted:
		if p.completed && !ended {
			items = append(items, item{"uiType": "ActionMsg", "actionType": "EndConversation"})
		}
	}
	return items
}

// officialActions are the action messages that have no counterpart in DialectSpec.
var officialActions = map[string]struct{}{
	"CreateConversation": {}, "StartConversation": {}, "SubscribeToSupportQueue": {}, "SubscribeToChatPresence": {},
	"EndSpinner": {}, "StartTypingIndicator": {}, "EndTypingIndicator": {}, "SwitchConversation": {}, "ChatSubHeader": {},
}

// An envelope is what a callback says around its items. A flag is true or "true", and missing otherwise.
type envelope struct {
	AgentChat       any             `json:"agentChat,omitempty"`
	AppInboundID    string          `json:"appInboundId,omitempty"`
	Body            any             `json:"body"`
	ClientSessionID string          `json:"clientSessionId"`
	ClientVariables json.RawMessage `json:"clientVariables,omitempty"`
	Completed       any             `json:"completed,omitempty"`
	ErrorMessage    string          `json:"error_message,omitempty"`
	InteractionID   string          `json:"interactionId,omitempty"`
	Message         json.RawMessage `json:"message,omitempty"`
	RequestID       *string         `json:"requestId,omitempty"`
	Score           any             `json:"score,omitempty"` // a number, or one as text
	Status          *string         `json:"status,omitempty"`
	TakeControl     any             `json:"takeControl,omitempty"`
	UserID          string          `json:"userId,omitempty"`
}

// envelop puts items into a callback. The flags that end something travel with the last one.
func (i *Instance) envelop(c *conversation, p *post, s *settings, items []any, last bool) ([]byte, error) {
	shape := s.shape
	flag := func(on bool) any {
		switch {
		case on && shape.FlagsAsText:
			return "true"
		case on:
			return true
		}
		return nil
	}
	e := &envelope{
		ClientSessionID: c.sessionID, ClientVariables: c.variables, AgentChat: flag(p.agentChat), Completed: flag(p.completed && last),
	}
	if !shape.OmitOptional {
		e.UserID = c.person.userID
		if !shape.NoEcho {
			e.RequestID = &c.requestID
		}
	}
	if s.dialect == DialectSpec {
		e.TakeControl = flag(p.status == statusConnected)
		e.Status = &p.status
		if !last && (p.status == statusCompleted || p.status == statusFail) {
			e.Status = new(statusActive)
		}
		if last {
			e.ErrorMessage = p.errorMessage
		}
	} else {
		i.officialFields(e, c, p, shape)
		e.TakeControl = flag(p.takeControl && last)
		if shape.ExplicitTakeControl && e.TakeControl == nil {
			e.TakeControl = false
		}
	}
	var err error
	if e.Body, err = bodyOf(items, shape); err != nil {
		return nil, err
	}
	return marshal(e)
}

// officialFields adds the envelope of the documented dialect: echoes, ids and the score.
func (i *Instance) officialFields(e *envelope, c *conversation, p *post, shape Shape) {
	if shape.OmitOptional {
		return
	}
	if !shape.NoEcho {
		e.Message = c.message
	}
	if i.version.atLeast(4, 0, 0) {
		e.InteractionID = c.interactionID
	}
	if i.version.atLeast(4, 1, 2) {
		e.AppInboundID = c.appInboundID
	}
	score := 1
	if p.score != nil {
		score = *p.score
	}
	e.Score = score
	if shape.ScoreText {
		e.Score = strconv.Itoa(score)
	}
}

func bodyOf(items []any, shape Shape) (any, error) {
	if shape.BodyText {
		b, err := marshal(items)
		return string(b), err
	}
	if shape.BodyObject && len(items) == 1 {
		return items[0], nil
	}
	return items, nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
