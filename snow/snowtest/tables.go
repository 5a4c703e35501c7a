package snowtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tables keeps what the Table API knows beside users and chats.
type tables struct {
	mu        sync.Mutex
	ids       map[string]string
	incidents []row
	last      int
}

// columns of the tables that can be read.
var columns = map[string][]string{
	"sys_user": {"sys_id", "user_name", "name", "email", "active", "locked_out"},
	"interaction": {
		"sys_id", "number", "state", "state_reason", "assigned_to", "queue", "opened_at", "closed_at",
		"channel_metadata_document", "opened_for",
	},
	"sys_cs_conversation": {"sys_id", "state", "session.device_id", "interaction", "sys_created_on"},
	"sys_cs_message": {
		"sys_id", "conversation", "payload", "is_agent", "direction", "send_time", "sys_created_on", "sys_created_by",
	},
	"incident": {
		"sys_id", "number", "state", "short_description", "description", "caller_id", "contact_type", "urgency", "impact",
		"correlation_id", "category", "sys_created_on", "comments", "work_notes", "assignment_group",
	},
	"awa_agent_presence_capacity": {
		"ap_sys_id", "ap_agent", "aca_available", "ac_channel", "ap_current_presence_state", "ac_workload",
		"ac_applied_max_capacity",
	},
}

// Records of an instance as it comes: the chat channel, and the presence state Available.
const (
	chatChannel    = "27f675e3739713004a905ee515f6a7c3"
	availableState = "0b10223c57a313005baaaa65ef94f970"
)

// id returns the sys_id of a record that is only known by its name.
func (t *tables) id(table, name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids == nil {
		t.ids = make(map[string]string)
	}
	key := table + "\x00" + name
	if t.ids[key] == "" {
		t.ids[key] = newID()
	}
	return t.ids[key]
}

// Incidents returns the incidents that were created, the oldest first.
func (i *Instance) Incidents() []map[string]string {
	i.tables.mu.Lock()
	defer i.tables.mu.Unlock()
	list := make([]map[string]string, len(i.tables.incidents))
	for n, r := range i.tables.incidents {
		list[n] = make(map[string]string, len(r))
		for column, v := range r {
			list[n][column] = text(v)
		}
	}
	return list
}

// tableRoute answers the Table API: /api/now/table/{table}, with a version or without, and a record of it.
func (i *Instance) tableRoute(r *request) (reply, bool) {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/now/")
	if !ok {
		return reply{}, false
	}
	version := ""
	for _, v := range []string{"v1", "v2"} {
		if rest, ok := strings.CutPrefix(path, v+"/"); ok {
			version, path = v, rest
		}
	}
	path, ok = strings.CutPrefix(path, "table/")
	if !ok {
		return reply{}, false
	}
	table, id, one := strings.Cut(path, "/")
	if _, known := columns[table]; !known {
		return failure(http.StatusBadRequest, "Invalid table "+table, ""), true
	}
	switch {
	case r.Method == http.MethodGet && one:
		return i.readRow(r, table, id), true
	case r.Method == http.MethodGet:
		return i.readRows(r, table, version), true
	case r.Method == http.MethodPost && !one && table == "incident":
		return i.createIncident(r), true
	case r.Method == http.MethodPost:
		return failure(http.StatusForbidden, "Operation Failed", "ACL Exception Insert Failed due to security constraints"), true
	}
	return failure(http.StatusMethodNotAllowed, "Method not supported", ""), true
}

func (i *Instance) readRow(r *request, table, id string) reply {
	for _, have := range i.rows(table, "") {
		if text(have["sys_id"]) == id {
			return answerJSON(http.StatusOK, map[string]any{"result": i.view(r, have)})
		}
	}
	return failure(http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}

func (i *Instance) readRows(r *request, table, version string) reply {
	q := parseQuery(r.query.Get("sysparm_query"))
	for _, column := range columns[table] {
		if v := r.query.Get(column); v != "" { // a column may be a parameter of its own
			q.groups = append(q.groups, []condition{{column, "=", v}})
		}
	}
	found := q.apply(i.rows(table, q.only("conversation")), columns[table])
	total := len(found)
	if n, err := strconv.Atoi(r.query.Get("sysparm_offset")); err == nil && n > 0 {
		found = found[min(n, total):]
	}
	limit := 10_000
	if n, err := strconv.Atoi(r.query.Get("sysparm_limit")); err == nil && n >= 0 {
		limit = n
	}
	found = found[:min(limit, len(found))]
	if total == 0 && version == "v1" {
		return failure(http.StatusNotFound, "No Record found", "")
	}
	result := make([]row, len(found))
	for n, have := range found {
		result[n] = i.view(r, have)
	}
	rep := answerJSON(http.StatusOK, map[string]any{"result": result})
	rep.header.Set("X-Total-Count", strconv.Itoa(total))
	return rep
}

// view is what a request wants to see of a row.
func (i *Instance) view(r *request, have row) row {
	have = maps.Clone(have)
	if wanted := r.query.Get("sysparm_fields"); wanted != "" {
		names := strings.Split(wanted, ",")
		maps.DeleteFunc(have, func(name string, _ any) bool { return !slices.Contains(names, name) })
	}
	if r.query.Get("sysparm_exclude_reference_link") == "true" {
		for name, v := range have {
			have[name] = text(v)
		}
	}
	return have
}

// reference spells a reference to another record, or an empty one.
func (i *Instance) reference(table, id string) any {
	if id == "" {
		return ""
	}
	return map[string]any{"link": i.URL() + "/api/now/table/" + table + "/" + id, "value": id}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// createIncident takes the columns it knows and drops the others without a word.
func (i *Instance) createIncident(r *request) reply {
	if mediaType(r.Header.Get("Content-Type")) != typeJSON {
		return failure(http.StatusUnsupportedMediaType, "Unsupported media type", "")
	}
	var given map[string]any
	if err := json.Unmarshal(r.body, &given); err != nil || given == nil {
		return failure(http.StatusBadRequest, "Exception while reading request", "The payload is not valid JSON.")
	}
	made := row{"sys_id": newID(), "state": "1", "sys_created_on": stamp(i.o.Now())}
	for _, column := range columns["incident"] {
		if _, fixed := made[column]; fixed {
			continue
		}
		made[column] = ""
		if v, ok := given[column]; ok && v != nil {
			made[column] = fmt.Sprint(v)
		}
	}
	made["caller_id"] = i.reference("sys_user", text(made["caller_id"]))
	t := &i.tables
	t.mu.Lock()
	t.last++
	made["number"] = fmt.Sprintf("INC%07d", 10_000+t.last)
	t.incidents = append(t.incidents, made)
	if len(t.incidents) > i.o.KeepLast {
		t.incidents = slices.Delete(t.incidents, 0, 1)
	}
	t.mu.Unlock()
	rep := answerJSON(http.StatusCreated, map[string]any{"result": i.view(r, made)})
	if r.Header.Get("X-No-Response-Body") == "true" {
		rep.body = nil
	}
	rep.header.Set("Location", i.URL()+"/api/now/table/incident/"+text(made["sys_id"]))
	return rep
}
