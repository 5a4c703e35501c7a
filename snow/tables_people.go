package snow

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A User is an active user of the instance.
type User struct {
	SysID    string
	UserName string
	Email    string // as the instance spells it, which is the spelling it wants
	Name     string
	Locked   bool // a locked user chats as a guest
}

// FindUser returns the active users with an e-mail address, in any case. More than one means that ServiceNow cannot tell
// whose chat it is either. An address that cannot be asked for safely belongs to nobody.
func (c *Client) FindUser(ctx context.Context, email string) ([]User, error) {
	email = strings.TrimSpace(email)
	if !condition(email) {
		return nil, nil
	}
	list, err := c.rows(ctx, "user", "sys_user", query{
		"sysparm_query":  "email=" + email + "^active=true",
		"sysparm_fields": "sys_id,user_name,email,name,active,locked_out",
		"sysparm_limit":  "10",
	})
	if err != nil {
		return nil, err
	}
	var users []User
	for _, r := range list {
		if !strings.EqualFold(strings.TrimSpace(r.text("email")), email) || r.text("active") == "false" {
			continue
		}
		users = append(users, User{
			SysID:    r.text("sys_id"),
			UserName: r.text("user_name"),
			Email:    r.text("email"),
			Name:     r.text("name"),
			Locked:   r.text("locked_out") == "true",
		})
	}
	return users, nil
}

// The chat channel and the state "available" of Advanced Work Assignment, as instances come.
const (
	chatChannel    = "27f675e3739713004a905ee515f6a7c3"
	stateAvailable = "0b10223c57a313005baaaa65ef94f970"
)

// AgentsAvailable counts the agents that could take a chat now, up to 200, whatever their queues and skills. known is
// false when the instance does not let us see that. It is advice: nobody may be there a second later.
func (c *Client) AgentsAvailable(ctx context.Context) (n int, known bool, err error) {
	list, err := c.rows(ctx, "availability", "awa_agent_presence_capacity", query{
		"sysparm_query": "aca_available=true^ac_channel=" + chatChannel + "^ap_current_presence_state=" + stateAvailable,
		"sysparm_fields": "ap_agent,aca_available,ac_channel,ap_current_presence_state,ac_workload," +
			"ac_applied_max_capacity",
		"sysparm_limit": "200",
	})
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && (errors.Is(e, errHidden) || e.StatusCode == http.StatusBadRequest) {
			return 0, false, nil
		}
		return 0, false, err
	}
	agents := map[string]bool{}
	for _, r := range list {
		if r.text("aca_available") == "" || r.text("ac_channel") == "" || r.text("ap_current_presence_state") == "" {
			return 0, false, nil // columns of another version: what was counted is not what was asked for
		}
		if r.text("aca_available") == "true" && r.text("ac_channel") == chatChannel &&
			r.text("ap_current_presence_state") == stateAvailable && hasRoom(r) {
			agents[r.text("ap_agent")] = true
		}
	}
	return len(agents), true, nil
}

// hasRoom reports whether an agent has capacity left, as far as the row says.
func hasRoom(r row) bool {
	work, err := strconv.ParseFloat(r.text("ac_workload"), 64)
	limit, err2 := strconv.ParseFloat(r.text("ac_applied_max_capacity"), 64)
	return err != nil || err2 != nil || work < limit
}

// An Interaction is ServiceNow's record of a chat.
type Interaction struct {
	SysID              string
	Number             string
	State              string // "work_in_progress", "closed_complete", …
	StateReason        string
	AssignedTo         string // sys_id of the agent
	Queue              string // sys_id
	OpenedAt, ClosedAt time.Time
}

// Interaction reads the record of a chat by the id that [Event.InteractionID] gives. A record that is not there, or is hidden
// from us, is an [*Error] with the status 404 or 403.
func (c *Client) Interaction(ctx context.Context, id string) (Interaction, error) {
	if strings.Trim(id, ".") == "" { // would name another path
		return Interaction{}, &Error{Op: "interaction", Err: errors.New("no id")}
	}
	r, err := c.row(ctx, call{op: "interaction", method: http.MethodGet, url: c.tableURL(query{
		"sysparm_fields":                 "sys_id,number,state,state_reason,assigned_to,queue,opened_at,closed_at",
		"sysparm_exclude_reference_link": "true",
	}, "interaction", id)})
	if err != nil {
		return Interaction{}, err
	}
	return Interaction{
		SysID:       r.text("sys_id"),
		Number:      r.text("number"),
		State:       r.text("state"),
		StateReason: r.text("state_reason"),
		AssignedTo:  r.text("assigned_to"),
		Queue:       r.text("queue"),
		OpenedAt:    r.time("opened_at"),
		ClosedAt:    r.time("closed_at"),
	}, nil
}
