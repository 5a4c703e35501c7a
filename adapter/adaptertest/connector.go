package adaptertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// conversationOf returns the conversation that a request is for, if it names one that exists.
func (c *Channel) conversationOf(r *request) *Conversation {
	if s := r.segments; len(s) >= 4 && s[1] == "v3" && s[2] == "conversations" {
		return c.Conversation(s[3])
	}
	return nil
}

// handle acts on a request.
func (c *Channel) handle(r *request, v *Conversation) response {
	s := r.segments
	switch {
	case r.path == metadataPath && r.method == http.MethodGet:
		return c.metadata()
	case r.path == keysPath && r.method == http.MethodGet:
		return c.keySet()
	case strings.HasSuffix(r.path, tokenPath) && len(s) == 4:
		return c.token(r, s[0])
	case r.path == downloadPath:
		return c.download(r)
	case len(s) == 6 && s[1] == "v3" && s[2] == "attachments" && s[4] == "views" && s[5] == "original":
		return c.picture(r, s[3])
	case len(s) >= 3 && s[1] == "v3" && s[2] == "conversations":
		resp := c.connector(r, v, s[3:])
		if resp.effect {
			c.changed() // at once: the answer may be delayed
		}
		return resp
	}
	return response{status: http.StatusNotFound}
}

// connector acts on a request below /{region}/v3/conversations.
func (c *Channel) connector(r *request, v *Conversation, s []string) response {
	if !c.authorized(r) {
		return jsonResponse(http.StatusUnauthorized, map[string]string{"message": "Authorization has been denied for this request."})
	}
	if len(r.body) > maxRequest {
		return fail(http.StatusRequestEntityTooLarge, "MessageSizeTooBig", "Message size too large.")
	}
	if wait := c.throttled.Load() - r.at.UnixNano(); wait > 0 {
		return throttled(time.Duration(wait))
	}
	if c.opt.Windows {
		if wait := c.tenant.take(r.at, c.opt.TenantRate); wait > 0 {
			return throttled(wait)
		}
	}
	if len(s) == 0 {
		if r.method != http.MethodPost {
			return notAllowed()
		}
		return c.create(r)
	}
	if v == nil {
		return fail(http.StatusNotFound, "ConversationNotFound", "Conversation not found.")
	}
	switch {
	case len(s) == 2 && s[1] == "activities":
		return v.on(r, http.MethodPost, v.send)
	case len(s) == 3 && s[1] == "activities" && r.method == http.MethodPost:
		return v.on(r, http.MethodPost, v.send) // what it replies to has no effect on where it goes
	case len(s) == 3 && s[1] == "activities" && r.method == http.MethodPut:
		return v.on(r, http.MethodPut, func(r *request) response { return v.update(r, s[2]) })
	case len(s) == 3 && s[1] == "activities":
		return v.on(r, http.MethodDelete, func(r *request) response { return v.remove(r, s[2]) })
	case len(s) == 2 && s[1] == "members":
		return v.on(r, http.MethodGet, v.allMembers)
	case len(s) == 2 && s[1] == "pagedmembers":
		return v.on(r, http.MethodGet, v.pagedMembers)
	case len(s) == 3 && s[1] == "members":
		return v.on(r, http.MethodGet, func(*request) response { return v.member(s[2]) })
	}
	return response{status: http.StatusNotFound}
}

func notAllowed() response {
	return jsonResponse(http.StatusMethodNotAllowed, map[string]string{"message": "The requested resource does not support http method."})
}

// on runs do under the conversation's lock, once the method, the rate windows and the state allow it.
func (v *Conversation) on(r *request, method string, do func(*request) response) response {
	if r.method != method {
		return notAllowed()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.channel.opt.Windows {
		m, windows := &v.sends, sendWindows
		if method == http.MethodGet {
			m, windows = &v.lookups, memberWindows
		}
		if wait := m.take(r.at, windows); wait > 0 {
			return throttled(wait)
		}
	}
	if !v.installed {
		return fail(http.StatusForbidden, "BotNotInConversationRoster", "The bot is not part of the conversation roster.")
	}
	if v.blocked && method != http.MethodGet {
		return writesBlocked()
	}
	return do(r)
}

// writesBlocked is the one error of Teams that carries JSON within a string.
func writesBlocked() response {
	inner := "{\r\n  \"subCode\": \"MessageWritesBlocked\",\r\n  \"details\": \"Thread is blocked from message writes\",\r\n  \"errorCode\": null,\r\n  \"errorSubCode\": null\r\n}"
	return jsonResponse(http.StatusForbidden, map[string]any{"errorCode": 209, "message": inner})
}

// send takes a new activity of the bot.
func (v *Conversation) send(r *request) response {
	a, refusal := readActivity(r)
	if refusal.status == 0 && a != nil {
		refusal = a.belongs(v)
	}
	if refusal.status != 0 {
		return refusal
	}
	if a.Type == "typing" {
		v.typing = r.at.Add(typingShown)
		return response{status: http.StatusAccepted, effect: true}
	}
	v.typing = time.Time{}
	if a.Text != "" && len(a.Attachments) > 0 {
		// Teams makes two messages of it and does not tell their ids.
		text, rest := *a, *a
		text.Attachments, rest.Text = nil, ""
		v.add(newMessage(&text, r))
		shown := newMessage(&rest, r)
		v.add(shown)
		v.fetchPictures(shown)
		return response{status: http.StatusAccepted, effect: true}
	}
	m := newMessage(a, r)
	v.add(m)
	v.fetchPictures(m)
	resp := jsonResponse(http.StatusCreated, map[string]string{"id": m.ID})
	resp.effect = true
	return resp
}

// update replaces an activity of the bot.
func (v *Conversation) update(r *request, id string) response {
	a, refusal := readActivity(r)
	if refusal.status == 0 && a != nil {
		refusal = a.belongs(v)
	}
	switch {
	case refusal.status != 0:
		return refusal
	case a.Type != "message":
		return badArgument("Only a message can be updated.")
	case a.ID != "" && a.ID != id:
		return badArgument("The id of the activity is not that of the address.")
	case a.Text != "" && len(a.Attachments) > 0:
		return badArgument("Activity resulted into multiple skype activities")
	}
	m, refusal := v.own(id)
	if refusal.status != 0 {
		return refusal
	}
	m.edit(newMessage(a, r), v.channel.opt.KeepLast)
	v.fetchPictures(m)
	resp := jsonResponse(http.StatusOK, map[string]string{"id": id})
	resp.effect = true
	return resp
}

// remove deletes an activity of the bot.
func (v *Conversation) remove(_ *request, id string) response {
	m, refusal := v.own(id)
	if refusal.status != 0 {
		return refusal
	}
	m.deleted = true
	return response{status: http.StatusOK, effect: true}
}

// own finds a message that the bot may change.
func (v *Conversation) own(id string) (*Message, response) {
	m := v.byID[id]
	switch {
	case m == nil || m.deleted:
		return nil, fail(http.StatusNotFound, "ActivityNotFoundInConversation", "Message does not exist in the thread.")
	case !m.FromBot:
		return nil, fail(http.StatusForbidden, "NotEnoughPermissions", "The bot is not the sender of the message.")
	}
	return m, response{}
}

// create answers POST /v3/conversations: a personal chat, or a new thread in a channel.
func (c *Channel) create(r *request) response {
	if refusal := readJSON(r); refusal.status != 0 {
		return refusal
	}
	var p struct {
		Bot         *account        `json:"bot"`
		IsGroup     bool            `json:"isGroup"`
		Members     []account       `json:"members"`
		TenantID    string          `json:"tenantId"`
		Activity    json.RawMessage `json:"activity"`
		ChannelData struct {
			Tenant, Channel account
		} `json:"channelData"`
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return badSyntax("Error converting value: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	tenant := p.TenantID
	if tenant == "" {
		tenant = p.ChannelData.Tenant.ID
	}
	inChannel := p.ChannelData.Channel.ID != ""
	switch {
	case p.Bot != nil && p.Bot.ID != c.BotID() && p.Bot.ID != c.AppID():
		return badArgument("The bot is not the caller.")
	case inChannel && len(p.Activity) == 0:
		return badSyntax("Incorrect conversation creation parameters: a thread needs an activity.")
	case inChannel:
	case p.IsGroup || len(p.Members) != 1 || p.Members[0].ID == "":
		return badSyntax("Incorrect conversation creation parameters: a bot can only start a chat with one person.")
	case tenant != c.opt.TenantID:
		return badArgument("Missing or unknown tenant.")
	}
	var v *Conversation
	var err error
	if inChannel {
		v, err = c.newThread(p.ChannelData.Channel.ID)
	} else {
		v, err = c.personalOf(p.Members[0].ID)
	}
	switch {
	case errors.Is(err, errUnknownMember):
		return badArgument("Failed to decrypt pairwise id")
	case err != nil:
		return fail(http.StatusForbidden, "BotNotInConversationRoster", "The bot is not part of the conversation roster.")
	}
	answer := map[string]string{"id": v.id}
	if len(p.Activity) == 0 {
		resp := v.on(r, http.MethodPost, func(*request) response { return jsonResponse(http.StatusCreated, answer) })
		return resp
	}
	first := *r
	first.body = p.Activity
	resp := v.on(&first, http.MethodPost, v.send)
	if resp.status >= http.StatusBadRequest {
		return resp
	}
	var sent account
	if json.Unmarshal(resp.body, &sent) == nil {
		answer["activityId"] = sent.ID
	}
	created := jsonResponse(http.StatusCreated, answer)
	created.effect = true
	return created
}

func (v *Conversation) account(u User) map[string]any {
	m := map[string]any{
		"id": u.ID, "name": u.Name, "objectId": u.AADObjectID, "givenName": u.GivenName, "surname": u.Surname,
		"userPrincipalName": u.UPN, "tenantId": v.channel.opt.TenantID, "userRole": "user",
	}
	if u.Guest {
		m["userRole"] = "guest"
	}
	if u.Email != "" {
		m["email"] = u.Email
	}
	return m
}

func (v *Conversation) accounts(users []User) []map[string]any {
	all := make([]map[string]any, 0, len(users))
	for _, u := range users {
		all = append(all, v.account(u))
	}
	return all
}

func (v *Conversation) allMembers(*request) response {
	return jsonResponse(http.StatusOK, v.accounts(v.members))
}

// member answers for one person, named by 29: id, AAD object id or UPN.
func (v *Conversation) member(id string) response {
	if u, ok := v.channel.user(id, true); ok && v.has(u.ID) {
		return jsonResponse(http.StatusOK, v.account(u))
	}
	return fail(http.StatusNotFound, "MemberNotFoundInConversation", "Member not found in conversation.")
}

// pagedMembers answers with 50 to 500 people and a token for the next page.
func (v *Conversation) pagedMembers(r *request) response {
	size, first := 200, 0
	if s := r.query.Get("pageSize"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return badArgument("pageSize is no number.")
		}
		size = min(max(n, 50), 500)
	}
	if s := r.query.Get("continuationToken"); s != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(s, "from-"))
		if err != nil || n < 0 || n > len(v.members) {
			return badArgument("Invalid continuationToken.")
		}
		first = n
	}
	end := min(first+size, len(v.members))
	page := map[string]any{"members": v.accounts(v.members[first:end])}
	if end < len(v.members) {
		page["continuationToken"] = fmt.Sprintf("from-%d", end)
	}
	return jsonResponse(http.StatusOK, page)
}
