package snow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// errHidden is the error of a record or table that is not there, or that we may not see: the Table API makes no difference.
var errHidden = errors.New("not there, or hidden from us")

// errStrange is the error of an answer of the Table API that is JSON of another kind.
var errStrange = errors.New("answer has no result")

// A query holds the parameters of the Table API.
type query map[string]string

// A row is a record of the Table API. A value is a string, or {link, value} for a reference.
type row map[string]json.RawMessage

// text returns a value as a string, and "" when there is none.
func (r row) text(name string) string {
	raw := r[name]
	if s, ok := jsonString(raw); ok {
		return s
	}
	var ref struct {
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(raw, &ref) == nil {
		if s, ok := jsonString(ref.Value); ok {
			return s
		}
	}
	if b := bytes.TrimSpace(raw); len(b) > 0 && strings.IndexByte("{[n\"", b[0]) < 0 {
		return string(b) // a number or a boolean
	}
	return ""
}

// time returns a value as a time, and zero when it is none. The Table API gives UTC.
func (r row) time(name string) time.Time {
	t, err := time.ParseInLocation(time.DateTime, r.text(name), time.UTC)
	if err != nil {
		return time.Time{}
	}
	return t
}

// rows reads records of a table.
//
// The API ignores a condition on a column that it does not know, and answers with everything. So a caller has to check
// each row against its own condition again.
func (c *Client) rows(ctx context.Context, op, table string, q query) ([]row, error) {
	result, err := c.table(ctx, call{op: op, method: http.MethodGet, url: c.tableURL(q, table)})
	if err != nil {
		return nil, err
	}
	var list []row
	if json.Unmarshal(result, &list) != nil {
		return nil, &Error{Op: op, StatusCode: http.StatusOK, Written: true, Err: errStrange}
	}
	return list, nil
}

// row reads or makes one record.
func (c *Client) row(ctx context.Context, k call) (row, error) {
	result, err := c.table(ctx, k)
	if err != nil {
		return nil, err
	}
	var r row
	if json.Unmarshal(result, &r) != nil || r == nil {
		return nil, &Error{Op: k.op, StatusCode: http.StatusOK, Written: true, Err: errStrange}
	}
	return r, nil
}

// tableURL returns the address of a table, or of a record of it.
func (c *Client) tableURL(q query, path ...string) *url.URL {
	values := url.Values{}
	for name, v := range q {
		values.Set(name, v)
	}
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	u := c.base.JoinPath("api", "now", "table").JoinPath(path...)
	u.RawQuery = values.Encode()
	return u
}

// table makes a call of the Table API and returns the result member of the answer.
func (c *Client) table(ctx context.Context, k call) (json.RawMessage, error) {
	a, err := c.exchange(ctx, k)
	if err != nil {
		return nil, err
	}
	fail := &Error{Op: k.op, StatusCode: a.status, RetryAfter: askedToWait(a.status, a.header, c.now()), Written: true}
	var said struct {
		Result json.RawMessage `json:"result"`
	}
	isJSON := json.Unmarshal(a.body, &said) == nil
	switch {
	case a.status/100 == 2 && !isJSON, a.status/100 == 3:
		fail.NotJSON = true
	case a.status/100 == 2 && len(said.Result) == 0:
		fail.Err = errStrange
	case a.status/100 == 2:
		return said.Result, nil
	case isJSON && (a.status == http.StatusForbidden || a.status == http.StatusNotFound):
		fail.Err = errHidden
	}
	return nil, fail
}

// condition reports whether s can stand as a value in a query. The query language has ^ between conditions, and runs a
// value that begins with "javascript:".
func condition(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r == '^' || isControl(r) }) &&
		!strings.HasPrefix(strings.ToLower(strings.TrimSpace(s)), "javascript:")
}
