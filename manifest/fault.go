package manifest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// A Fault is one thing for which Teams, or the rules of its app packages, would refuse a package.
type Fault struct {
	// Field is where: a JSON pointer into manifest.json, such as /bots/0/botId, the name of a file, or "package".
	Field string
	// Rule is the short name of what is broken; it does not change. See [Validate].
	Rule string
	// Message says what is wrong, and as a rule what would be right. It quotes at most a few words of the package.
	Message string
}

// String returns the fault on one line.
func (f Fault) String() string { return f.Field + ": " + f.Rule + ": " + f.Message }

// The rules; Validate's comment says what they mean.
const (
	ruleSize        = "size"
	ruleZip         = "zip"
	rulePath        = "path"
	ruleDuplicate   = "duplicate"
	ruleMissing     = "missing"
	ruleRoot        = "root"
	ruleEncoding    = "encoding"
	ruleJSON        = "json"
	ruleVersion     = "version"
	ruleRequired    = "required"
	ruleUnknown     = "unknown"
	ruleUnchecked   = "unchecked"
	ruleType        = "type"
	ruleLength      = "length"
	rulePattern     = "pattern"
	ruleValue       = "value"
	ruleCount       = "count"
	rulePlaceholder = "placeholder"
	ruleText        = "text"
	ruleURL         = "url"
	ruleDomain      = "domain"
	ruleScope       = "scope"
	rulePermission  = "permission"
	ruleImage       = "image"
	ruleWhite       = "white"
)

// maxFaults is how many are reported. Nobody reads more of them at once.
const maxFaults = 100

// faults collects.
type faults struct{ list []Fault }

func (f *faults) add(field, rule, format string, args ...any) {
	if len(f.list) < maxFaults {
		f.list = append(f.list, Fault{field, rule, fmt.Sprintf(format, args...)})
	}
}

// full reports that no more faults are taken.
func (f *faults) full() bool { return len(f.list) >= maxFaults }

// quote shows a string of the package: short, on one line, and without control characters.
func quote(s string) string {
	const most = 60
	return strconv.Quote(shorten(strings.ToValidUTF8(s, "\uFFFD"), most))
}

// fileField names a file of the package.
func fileField(name string) string {
	if plain(name) && name != "" && len(name) <= 100 {
		return name
	}
	return quote(name)
}

// below is the pointer to the member key of what pointer points to.
func below(pointer, key string) string {
	key = strings.NewReplacer("~", "~0", "/", "~1").Replace(shorten(key, 60))
	if !plain(key) {
		key = strings.Trim(quote(key), `"`)
	}
	return pointer + "/" + key
}

// shorten cuts s to so many characters.
func shorten(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// plain reports whether s can be shown as it is.
func plain(s string) bool {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
