package snow

import (
	"context"
	"errors"
	"net/http"
)

var errNoNumber = errors.New("incident was made and its number not told")

// An Incident is a ticket to be made.
type Incident struct {
	// CorrelationID is ours, and the same when the ticket is asked for again.
	CorrelationID    string
	ShortDescription string
	Description      string
	CallerSysID      string // [User.SysID]; may be empty
	// Extra are further columns, such as "urgency". They may replace the contact type, "chat", and nothing else.
	Extra map[string]string
}

// CreateIncident makes a ticket and returns its number. The Table API has nothing that makes a repeat harmless, so
// the correlation id is looked up first: a ticket that has it already is returned as if it had been made now.
func (c *Client) CreateIncident(ctx context.Context, i Incident) (number string, err error) {
	if i.CorrelationID != "" {
		if number, err = c.findIncident(ctx, i.CorrelationID); number != "" || err != nil {
			return number, err
		}
	}
	fields := map[string]string{"contact_type": "chat"}
	for name, v := range i.Extra {
		fields[name] = v
	}
	for name, v := range map[string]string{
		"short_description": i.ShortDescription,
		"description":       i.Description,
		"caller_id":         i.CallerSysID,
		"correlation_id":    i.CorrelationID,
	} {
		delete(fields, name)
		if v != "" {
			fields[name] = v
		}
	}
	body, err := encode(fields)
	if err != nil {
		return "", &Error{Op: "incident", Err: err}
	}
	r, err := c.row(ctx, call{op: "incident", method: http.MethodPost, body: body, url: c.tableURL(query{
		"sysparm_fields":                 "sys_id,number,correlation_id",
		"sysparm_exclude_reference_link": "true",
	}, "incident")})
	if err != nil {
		return "", err
	}
	if number = r.text("number"); number == "" {
		return "", &Error{Op: "incident", StatusCode: http.StatusCreated, Written: true, Err: errNoNumber}
	}
	return number, nil
}

// findIncident returns the number of the ticket with a correlation id, or "" when there is none that we may see.
func (c *Client) findIncident(ctx context.Context, correlation string) (string, error) {
	if !condition(correlation) {
		return "", &Error{Op: "incident", Err: errors.New("correlation id cannot be looked up")}
	}
	list, err := c.rows(ctx, "incident", "incident", query{
		"sysparm_query":  "correlation_id=" + correlation,
		"sysparm_fields": "number,correlation_id",
		"sysparm_limit":  "1",
	})
	if errors.Is(err, errHidden) {
		return "", nil // an account that may make tickets and not read them
	}
	for _, r := range list {
		if r.text("correlation_id") == correlation {
			return r.text("number"), nil
		}
	}
	return "", err
}
