package snowtest

import (
	"cmp"
	"slices"
	"strings"
)

// A row is a record of a table. Values are strings; references are maps of link and value.
type row = map[string]any

// A condition is one term of an encoded query.
type condition struct {
	column, op, value string
}

// A query is an encoded query: all of its groups' terms must hold, and in a group one is enough.
type query struct {
	groups [][]condition
	order  []ordering
}

type ordering struct {
	column string
	down   bool
}

// operators of encoded queries, the longer ones first.
var operators = []string{"!=", ">=", "<=", "STARTSWITH", "ISNOTEMPTY", "ISEMPTY", "LIKE", "IN", "=", ">", "<"}

// parseQuery reads sysparm_query. What it does not understand is left out, as the instance leaves it out.
func parseQuery(s string) query {
	var q query
	for part := range strings.SplitSeq(s, "^") {
		column, down := strings.CutPrefix(part, "ORDERBYDESC")
		up := false
		if !down {
			column, up = strings.CutPrefix(part, "ORDERBY")
		}
		if down || up {
			q.order = append(q.order, ordering{column, down})
			continue
		}
		part, or := strings.CutPrefix(part, "OR")
		c, ok := parseCondition(part)
		switch {
		case !ok:
		case or && len(q.groups) > 0:
			last := len(q.groups) - 1
			q.groups[last] = append(q.groups[last], c)
		default:
			q.groups = append(q.groups, []condition{c})
		}
	}
	return q
}

func parseCondition(s string) (condition, bool) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.'
	})
	if end <= 0 {
		return condition{}, false
	}
	for _, op := range operators {
		if value, ok := strings.CutPrefix(s[end:], op); ok {
			return condition{s[:end], op, value}, true
		}
	}
	return condition{}, false
}

// only returns the value that a column must have for a row to be found, or nothing.
func (q query) only(column string) string {
	for _, g := range q.groups {
		if len(g) == 1 && g[0].column == column && g[0].op == "=" {
			return g[0].value
		}
	}
	return ""
}

// apply returns the rows that match, in order. A term about a column that the table has not is ignored, so that it finds
// everything, as glide.invalid_query.returns_no_rows false does.
func (q query) apply(rows []row, columns []string) []row {
	var found []row
	for _, r := range rows {
		if q.matches(r, columns) {
			found = append(found, r)
		}
	}
	for _, o := range slices.Backward(q.order) {
		slices.SortStableFunc(found, func(a, b row) int {
			n := cmp.Compare(text(a[o.column]), text(b[o.column]))
			if o.down {
				return -n
			}
			return n
		})
	}
	return found
}

func (q query) matches(r row, columns []string) bool {
	for _, group := range q.groups {
		known, holds := false, false
		for _, c := range group {
			if slices.Contains(columns, c.column) {
				known = true
				holds = holds || c.holds(text(r[c.column]))
			}
		}
		if known && !holds {
			return false
		}
	}
	return true
}

// holds compares as the database does: without case.
func (c condition) holds(have string) bool {
	h, v := strings.ToLower(have), strings.ToLower(c.value)
	switch c.op {
	case "=":
		return h == v
	case "!=":
		return h != v
	case ">":
		return h > v
	case ">=":
		return h >= v
	case "<":
		return h < v
	case "<=":
		return h <= v
	case "LIKE":
		return strings.Contains(h, v)
	case "STARTSWITH":
		return strings.HasPrefix(h, v)
	case "IN":
		return slices.Contains(strings.Split(v, ","), h)
	case "ISEMPTY":
		return h == ""
	case "ISNOTEMPTY":
		return h != ""
	}
	return false
}

// text is the value of a column, which is the sys_id when the column is a reference.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		s, _ := v["value"].(string)
		return s
	}
	return ""
}
