package snow

import (
	"context"
	"strings"
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
