package snowtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// rows makes the rows of a table as they are now. For messages, conversation narrows it down when it is not empty.
func (i *Instance) rows(table, conversation string) []row {
	switch table {
	case "sys_user":
		return i.userRows()
	case "incident":
		i.tables.mu.Lock()
		defer i.tables.mu.Unlock()
		return slices.Clone(i.tables.incidents)
	case "awa_agent_presence_capacity":
		return i.presenceRows()
	}
	var list []row
	for _, c := range i.reg.all() {
		if conversation != "" && c.id != conversation {
			continue
		}
		c.person.mu.Lock()
		switch table {
		case "interaction":
			list = append(list, i.interactionRow(c))
		case "sys_cs_conversation":
			list = append(list, i.conversationRow(c))
		case "sys_cs_message":
			list = append(list, i.messageRows(c)...)
		}
		c.person.mu.Unlock()
	}
	return list
}

func (i *Instance) userRows() []row {
	list := make([]row, len(i.o.Users))
	for n, u := range i.o.Users {
		list[n] = row{
			"sys_id": u.SysID, "user_name": u.UserName, "name": u.Name, "email": u.Email,
			"active": strconv.FormatBool(!u.Inactive), "locked_out": strconv.FormatBool(u.Locked),
		}
	}
	return list
}

// presenceRows has an agent available when a wish for one would reach the queue.
func (i *Instance) presenceRows() []row {
	available := i.settings().noAgents == NoAgentsOff && (i.o.Open == nil || i.o.Open(i.o.Now()))
	busy := make(map[string]int)
	for _, c := range i.reg.all() {
		c.person.mu.Lock()
		if c.phase == phaseLive {
			busy[c.agent.ID]++
		}
		c.person.mu.Unlock()
	}
	list := make([]row, len(i.o.Agents))
	for n, a := range i.o.Agents {
		state := availableState
		if !available {
			state = ""
		}
		list[n] = row{
			"ap_sys_id": a.ID, "ap_agent": i.reference("sys_user", a.ID), "aca_available": strconv.FormatBool(available),
			"ac_channel": chatChannel, "ap_current_presence_state": state, "ac_workload": strconv.Itoa(busy[a.ID]),
			"ac_applied_max_capacity": "4",
		}
	}
	return list
}

func (i *Instance) interactionRow(c *conversation) row {
	state, reason := "new", ""
	switch c.phase {
	case phaseVirtual, phaseQueued:
	case phaseLive:
		state = "work_in_progress"
	case phaseSurvey, phaseEnded:
		state, reason = "closed_complete", "agent_ended"
		switch c.chat.Reason {
		case EndedByUser:
			reason = "user_ended"
		case Cancelled, EndedNoAgents:
			state, reason = "closed_abandoned", "left_before_engagement"
		case EndedIdle:
			reason = "no_user_response"
		case EndedFailed:
			state, reason = "faulted", ""
		case EndedByAgent:
		}
	}
	user := ""
	if c.linked != nil {
		user = c.linked.SysID
	}
	return row{
		"sys_id": c.interactionID, "number": fmt.Sprintf("IMS%07d", c.number), "state": state, "state_reason": reason,
		"assigned_to": i.reference("sys_user", c.agent.ID), "queue": i.reference("awa_queue", i.tables.id("awa_queue", i.o.Queue)),
		"opened_at": stamp(c.chat.QueuedAt), "closed_at": stamp(c.chat.EndedAt), "channel_metadata_document": c.id,
		"opened_for": i.reference("sys_user", user),
	}
}

func (i *Instance) conversationRow(c *conversation) row {
	state := "inProgress"
	switch {
	case c.phase != phaseEnded:
	case c.chat.Reason == Cancelled:
		state = "canceled"
	case c.chat.Reason == EndedFailed:
		state = "faulted"
	default:
		state = "completed"
	}
	return row{
		"sys_id": c.id, "state": state, "session.device_id": c.sessionID,
		"interaction": i.reference("interaction", c.interactionID), "sys_created_on": stamp(c.chat.QueuedAt),
	}
}

// messageRows are the lines of a chat; the payload of a plain text is the text, that of the system is JSON.
func (i *Instance) messageRows(c *conversation) []row {
	list := make([]row, 0, len(c.lines))
	for _, l := range c.lines {
		direction, by, payload := "outbound", "system", l.Text
		switch l.From {
		case FromUser:
			direction, by = "inbound", "guest"
		case FromAgent:
			by = l.AgentName
			if l.Item != nil {
				if b, err := json.Marshal(l.Item); err == nil {
					payload = string(b)
				}
			}
		case FromSystem:
			if b, err := json.Marshal(map[string]string{"type": "System", "text": l.Text}); err == nil {
				payload = string(b)
			}
		}
		list = append(list, row{
			"sys_id": l.ID, "conversation": i.reference("sys_cs_conversation", c.id), "payload": payload,
			"is_agent": strconv.FormatBool(l.From == FromAgent), "direction": direction,
			"send_time": stamp(l.At), "sys_created_on": stamp(l.At), "sys_created_by": by,
		})
	}
	return list
}
