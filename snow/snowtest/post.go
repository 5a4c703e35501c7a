package snowtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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
	var items []item
	if s.dialect == DialectSpec {
		items = i.specItems(c, p)
	} else {
		items = i.officialItems(p, s.shape)
	}
	if !s.shape.OneItemPerPost || len(items) < 2 {
		b, err := i.envelope(c, p, s, items, true)
		return [][]byte{b}, err
	}
	bodies := make([][]byte, len(items))
	for n := range items {
		b, err := i.envelope(c, p, s, items[n:n+1], n == len(items)-1)
		if err != nil {
			return nil, err
		}
		bodies[n] = b
	}
	return bodies, nil
}

// officialItems fills in the agent and drops what the version or the shape leaves out.
func (i *Instance) officialItems(p *post, shape Shape) []item {
	items := make([]item, 0, len(p.items))
	for _, it := range p.items {
		it = maps.Clone(it)
		if a, ok := it["agentInfo"].(Agent); ok {
			info := map[string]any{"sentFromAgent": true}
			if i.o.AgentNames && !shape.OmitOptional {
				info["agentName"] = a.Name
				if a.AvatarURL != "" {
					info["agentAvatar"] = a.AvatarURL
				}
			}
			if i.version.atLeast(3, 14, 3) && !shape.OmitOptional {
				info["agentId"] = a.ID
			}
			it["agentInfo"] = info
		}
		if !i.version.atLeast(4, 0, 0) || shape.OmitOptional {
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

// specItems says the same with the few words of the other dialect.
func (i *Instance) specItems(c *conversation, p *post) []item {
	items := []item{}
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
		return []item{} // the status is all the news
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

// envelope puts items into a callback. The flags that end something travel with the last one.
func (i *Instance) envelope(c *conversation, p *post, s *settings, items []item, last bool) ([]byte, error) {
	shape := s.shape
	m := map[string]any{"clientSessionId": c.sessionID}
	flag := func(name string, on bool) {
		if on && shape.FlagsAsText {
			m[name] = "true"
		} else if on {
			m[name] = true
		}
	}
	if !shape.OmitOptional {
		m["userId"] = c.person.userID
		if !shape.NoEcho {
			m["requestId"] = c.requestID
		}
	}
	if c.variables != nil {
		m["clientVariables"] = c.variables
	}
	flag("agentChat", p.agentChat)
	flag("completed", p.completed && last)
	if s.dialect == DialectSpec {
		joined := p.status == statusConnected
		flag("takeControl", joined)
		m["status"] = p.status
		if !last && (p.status == statusCompleted || p.status == statusFail) {
			m["status"] = statusActive
		}
		if p.errorMessage != "" && last {
			m["error_message"] = p.errorMessage
		}
	} else {
		i.officialFields(m, c, p, shape)
		flag("takeControl", p.takeControl && last)
		if shape.ExplicitTakeControl && m["takeControl"] == nil {
			m["takeControl"] = false
		}
	}
	body, err := bodyOf(items, shape)
	if err != nil {
		return nil, err
	}
	m["body"] = body
	return marshal(m)
}

// officialFields adds the envelope of the documented dialect: echoes, ids and the score.
func (i *Instance) officialFields(m map[string]any, c *conversation, p *post, shape Shape) {
	if shape.OmitOptional {
		return
	}
	if c.message != nil && !shape.NoEcho {
		m["message"] = c.message
	}
	if i.version.atLeast(4, 0, 0) {
		m["interactionId"] = c.interactionID
	}
	if i.version.atLeast(4, 1, 2) && c.appInboundID != "" {
		m["appInboundId"] = c.appInboundID
	}
	score := 1
	if p.score != nil {
		score = *p.score
	}
	m["score"] = score
	if shape.ScoreText {
		m["score"] = fmt.Sprint(score)
	}
}

func bodyOf(items []item, shape Shape) (any, error) {
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
