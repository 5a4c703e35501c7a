package snow

import "strings"

// actionKinds says what an ActionMsg is, by its actionType in lower case and without the suffix ActionMsg, which some
// of ServiceNow's texts append. What is not here is unknown.
var actionKinds = map[string]Kind{
	"createconversation":      KindNothing,
	"startconversation":       KindNothing,
	"switchconversation":      KindNothing, // a notification opened another conversation
	"subscribetosupportqueue": KindWait,    // queued; what it holds is an address for ServiceNow's own client
	"subscribetochatpresence": KindNothing, // another such address; nobody has accepted yet
	"separator":               KindNothing,
	"topicfinished":           KindNothing,
	"dynamicloader":           KindNothing, // "searching…", "thinking…": the answer itself follows
	"startspinner":            KindWait,
	"endspinner":              KindWaitEnd,
	"switchtoliveagent":       KindJoined,
	"agentcontrol":            KindJoined,
	"switchtovirtualagent":    KindEnded,
	"endconversation":         KindEnded,
	"starttypingindicator":    KindTyping,
	"starttypeindicator":      KindTyping,
	"endtypingindicator":      KindTypingEnd,
	"endtypeindicator":        KindTypingEnd,
	"system":                  KindSystem,
	"chatsubheader":           KindSystem, // translation failed, autopilot started or ended
}

// actionOf is the key of actionKinds for a uiType or actionType.
func actionOf(s string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "actionmsg")
}

// isAction reports whether o is an ActionMsg. The frameworks of ServiceNow name some actions as a uiType of their own,
// such as SeparatorActionMsg.
func isAction(uiType string, o object) bool {
	if uiType == "" {
		return scalar(o["actionType"]) != ""
	}
	return strings.HasSuffix(strings.ToLower(uiType), "actionmsg")
}

// decodeAction reads an ActionMsg.
func (it *Item) decodeAction(o object, uiType string) {
	action := actionOf(uiType)
	if action == "" {
		actionType := strings.TrimSpace(scalar(o["actionType"]))
		action, it.Name = actionOf(actionType), "ActionMsg/"+name(actionType)
	}
	kind, known := actionKinds[action]
	if !known {
		kind = KindUnknown
	}
	it.Kind = kind
	if kind == KindNothing {
		return
	}
	it.Text = firstText(o, "message", "value", "label", "text", "header")
	switch {
	case kind == KindUnknown && it.Text == "":
		it.Text = firstText(o, textKeys...)
	case kind == KindSystem && it.Text == "":
		it.Kind = KindNothing
	case kind == KindWait:
		it.WaitTime = strings.TrimSpace(scalar(o["waitTime"]))
		if it.WaitTime == "" && strings.EqualFold(scalar(o["spinnerType"]), "processing") {
			it.Kind, it.Text = KindNothing, "" // a search is at work; nobody is waiting in a queue
		}
	}
}
