package manifest

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// checkRules checks what the schema cannot say. Members of the wrong type are passed over: the schema names them.
func checkRules(m map[string]any, f *faults) {
	checkTexts(m, f)
	if v, ok := m["version"].(string); ok && !versionPattern.MatchString(v) {
		f.add("/version", rulePattern, "%s is not three numbers such as 1.0.0", quote(v))
	}
	checkNotNil(m["id"], "/id", f)
	developer, _ := m["developer"].(map[string]any)
	for _, name := range []string{"websiteUrl", "privacyUrl", "termsOfUseUrl"} {
		checkURL(developer[name], "/developer/"+name, f)
	}
	checkURL(m["publisherDocsUrl"], "/publisherDocsUrl", f)
	checkDomains(m["validDomains"], f)
	checkBots(m, f)
	checkPermissions(m, f)
}

var (
	versionPattern     = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$`)
	placeholderPattern = regexp.MustCompile(`\{\{|\}\}|\$\{`)
	permissionPattern  = regexp.MustCompile(`^[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*)+\.(Group|Chat|User)$`)
	labelPattern       = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
)

const nilGUID = "00000000-0000-0000-0000-000000000000"

// checkNotNil finds the id that templates begin with.
func checkNotNil(v any, pointer string, f *faults) {
	if textOf(v) == nilGUID {
		f.add(pointer, rulePlaceholder, "the id is all zeros; put the real one in its place")
	}
}

// checkTexts looks for placeholders everywhere, and at the texts that people see.
func checkTexts(m map[string]any, f *faults) {
	for _, name := range sortedKeys(m) {
		checkPlaceholders(m[name], below("", name), f)
	}
	object := func(name string) map[string]any {
		o, _ := m[name].(map[string]any)
		return o
	}
	checkShown(object("name")["short"], "/name/short", f)
	checkShown(object("name")["full"], "/name/full", f)
	checkShown(object("description")["short"], "/description/short", f)
	if v, ok := object("description")["full"].(string); ok { // lines are allowed here
		checkShown(strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(v), "/description/full", f)
	}
	checkShown(object("developer")["name"], "/developer/name", f)
}

func checkPlaceholders(v any, pointer string, f *faults) {
	if f.full() {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sortedKeys(v) {
			checkPlaceholders(v[name], below(pointer, name), f)
		}
	case []any:
		for i, e := range v {
			checkPlaceholders(e, pointer+"/"+strconv.Itoa(i), f)
		}
	case string:
		if placeholderPattern.MatchString(v) {
			f.add(pointer, rulePlaceholder, "%s looks like a template that was not filled in", quote(v))
		}
	}
}

// checkShown checks a text that people see in one line.
func checkShown(v any, pointer string, f *faults) {
	s, ok := v.(string)
	switch {
	case !ok:
	case strings.TrimSpace(s) == "":
		f.add(pointer, ruleText, "is blank")
	case strings.TrimSpace(s) != s:
		f.add(pointer, ruleText, "begins or ends with blanks")
	case strings.ContainsFunc(s, unicode.IsControl):
		f.add(pointer, ruleText, "holds control characters or line breaks")
	}
}

func checkURL(v any, pointer string, f *faults) {
	s, ok := v.(string)
	if !ok {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsFunc(s, unicode.IsSpace):
		f.add(pointer, ruleURL, "%s is not a URL with a host", quote(s))
	case u.Scheme != "https":
		f.add(pointer, ruleURL, "has to begin with https://")
	case u.User != nil:
		f.add(pointer, ruleURL, "must not hold credentials")
	}
}

func checkDomains(v any, f *faults) {
	domains, _ := v.([]any)
	seen := map[string]bool{}
	for i, d := range domains {
		s, ok := d.(string)
		if !ok || f.full() {
			continue
		}
		at := "/validDomains/" + strconv.Itoa(i)
		if why := badDomain(s); why != "" {
			f.add(at, ruleDomain, "%s %s", quote(s), why)
		}
		if low := strings.ToLower(s); seen[low] {
			f.add(at, ruleDuplicate, "the domain is there twice")
		} else {
			seen[low] = true
		}
	}
}

// badDomain says what is wrong with a valid domain: a host name, perhaps with a port, whose first label may be a star.
func badDomain(s string) string {
	host, port, hasPort := strings.Cut(s, ":")
	switch {
	case strings.Contains(s, "://"):
		return "has to be without https://"
	case strings.ContainsAny(s, "/?#@"):
		return "has to be a host name, without a path"
	case hasPort && !isPort(port):
		return "does not end in a port"
	}
	labels := strings.Split(host, ".")
	if labels[0] == "*" {
		if labels = labels[1:]; len(labels) < 2 {
			return "covers domains of others: a star needs two labels behind it"
		}
	}
	for _, l := range labels {
		if strings.ContainsFunc(l, func(r rune) bool { return r > unicode.MaxASCII }) {
			return "has to be written in ASCII (punycode)"
		}
		if strings.Contains(l, "*") {
			return "may have a star as its first label only"
		}
		if !labelPattern.MatchString(l) {
			return "is not a host name"
		}
	}
	if len(host) > 253 || len(labels) < 2 && host != "localhost" {
		return "is not a whole host name"
	}
	return ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// checkPermissions checks resource-specific consent, which needs the app's registration.
func checkPermissions(m map[string]any, f *faults) {
	authorization, _ := m["authorization"].(map[string]any)
	permissions, _ := authorization["permissions"].(map[string]any)
	list, _ := permissions["resourceSpecific"].([]any)
	for i, e := range list {
		p, _ := e.(map[string]any)
		if name, ok := p["name"].(string); ok && !permissionPattern.MatchString(name) {
			f.add("/authorization/permissions/resourceSpecific/"+strconv.Itoa(i)+"/name", rulePermission,
				"%s is not a permission such as ChannelMessage.Read.Group", quote(name))
		}
	}
	registered, ok := m["webApplicationInfo"].(map[string]any)
	checkNotNil(registered["id"], "/webApplicationInfo/id", f)
	switch {
	case len(list) == 0:
	case !ok:
		f.add("/webApplicationInfo", rulePermission, "is missing: resource-specific permissions need the id of the app's registration")
	case textOf(registered["resource"]) == "":
		f.add("/webApplicationInfo/resource", rulePermission, "is missing: resource-specific permissions need one, whatever it says")
	}
}

// texts returns the first few elements of an array that are texts.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list[:min(len(list), 20)] {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
