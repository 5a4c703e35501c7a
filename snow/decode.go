package snow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// maxNesting is how many texts inside texts are opened, and how many items inside items. Instances have been seen to
// encode body twice; more than three levels is nobody's.
const maxNesting = 3

var errNotObject = errors.New("event is not a JSON object")

// DecodeEvent reads one post of ServiceNow, in either dialect and in any mixture of them. It is as tolerant as it can
// be, since a post that is refused is lost: the only error is that raw is not one JSON object (a byte order mark is
// allowed, bytes that are not UTF-8 are read as U+FFFD, a repeated key counts as its last). Unknown fields are ignored,
// unknown items are kept with the text that they hold.
//
// The state of the chat is not judged here. What says that an agent joined, or that the session ended, is:
//
//	joined    status connected; KindJoined (SwitchToLiveAgent, AgentControl); the first item with FromAgent
//	ended     status completed, fail, cancelled; KindEnded (SwitchToVirtualAgent, EndConversation); Completed
//	gave up   TakeControl without any of the signs of joining
//
// The top-level message is the employee's own words, echoed, and is never read. The Event keeps raw.
func DecodeEvent(raw []byte) (*Event, error) {
	root, ok := parseObject(raw)
	if !ok {
		return nil, errNotObject
	}
	vars := object(nil)
	if o, ok := unwrap(root["clientVariables"]).(object); ok {
		vars = o
	}
	var b body
	b.add(root["body"], maxNesting)
	return &Event{
		SessionID:     identifier(root["clientSessionId"]),
		RequestID:     identifier(root["requestId"]),
		UserID:        identifier(root["userId"]),
		InteractionID: identifier(root["interactionId"]),
		Variables: Variables{
			TenantID:       identifier(vars["tenantId"]),
			BotID:          identifier(vars["botId"]),
			ConversationID: identifier(vars["conversationId"]),
			SessionID:      identifier(vars["sessionId"]),
		},
		Status:       statusOf(root["status"]),
		ErrorMessage: firstText(root, "error_message", "errorMessage"),
		Items:        b.items,
		AgentChat:    isTrue(root["agentChat"]),
		TakeControl:  isTrue(root["takeControl"]),
		Completed:    isTrue(root["completed"]) && !b.notification,
		Raw:          raw,
	}, nil
}

// parseObject reads raw as one JSON object. Anything else is told from its first byte.
func parseObject(raw []byte) (object, bool) {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\ufeff")))
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	v, err := parse(raw)
	o, ok := v.(object)
	return o, err == nil && ok
}

// statusOf reads a status whatever its case; one that is not known is as good as absent.
func statusOf(v any) Status {
	switch s := Status(strings.ToLower(strings.TrimSpace(scalar(v)))); s {
	case StatusActive, StatusWaiting, StatusConnected, StatusCompleted, StatusFail, StatusCancelled:
		return s
	default:
		return ""
	}
}

// A body collects the items of one post.
type body struct {
	items        []Item
	notification bool
	first        map[string]object // the element that had the id first
	count        map[string]int
}

// add takes v, which is the body or part of it: an array, an object, or the JSON text of either, levels deep. Words
// that stand where an item should are an unknown item.
func (b *body) add(v any, levels int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			b.add(e, levels)
		}
	case object:
		b.element(v)
	case string:
		if inner, ok := parseText(v); ok && levels > 0 {
			b.add(inner, levels-1)
		} else if strings.TrimSpace(v) != "" {
			b.element(object{"text": v})
		}
	}
}

// element decodes one element of the body and names its items. The same element twice under one messageId counts once.
func (b *body) element(o object) {
	items := decodeItem(o, Item{}, maxNesting)
	id := items[0].ID
	hashed := id == ""
	if hashed {
		id = hashOf(o)
	}
	if first, ok := b.first[id]; ok && !hashed && reflect.DeepEqual(first, o) {
		return
	}
	for _, it := range items {
		it.ID, it.Hashed = b.unique(id, o), hashed
		b.items = append(b.items, it)
		b.notification = b.notification || isNotification(it)
	}
}

// unique makes id differ from that of all items before it, in the same way when the post is repeated: words that are
// said twice in one post are said twice.
func (b *body) unique(id string, o object) string {
	if b.first == nil {
		b.first, b.count = make(map[string]object), make(map[string]int)
	}
	b.count[id]++
	if n := b.count[id]; n > 1 {
		return id + "#" + strconv.Itoa(n)
	}
	b.first[id] = o
	return id
}

// hashOf names an element by its content: the same whatever the order of its keys and the white space between them.
func hashOf(o object) string {
	canonical, err := json.Marshal(o)
	if err != nil { // what was just decoded can be encoded
		canonical = nil
	}
	sum := sha256.Sum256(canonical)
	return "hash:" + hex.EncodeToString(sum[:16])
}
