package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may be in each other. The schema needs ten.
const maxDepth = 64

// parseManifest returns manifest.json, or nil when it cannot be read.
func parseManifest(raw []byte, f *faults) map[string]any {
	switch {
	case bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")):
		f.add(manifestName, ruleEncoding, "the file begins with a byte order mark; save it as UTF-8 without one")
		raw = raw[3:]
	case bytes.HasPrefix(raw, []byte("\xFF\xFE")), bytes.HasPrefix(raw, []byte("\xFE\xFF")):
		f.add(manifestName, ruleEncoding, "the file is UTF-16; save it as UTF-8")
		return nil
	}
	if !utf8.Valid(raw) {
		f.add(manifestName, ruleEncoding, "the file is not UTF-8")
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		line := 0
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			line = 1 + bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte("\n"))
		}
		f.add(manifestName, ruleJSON, "this is no JSON; look at line %d", line)
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		f.add(manifestName, ruleJSON, "the manifest has to be a JSON object")
		return nil
	}
	// What follows is valid JSON: the walk below only looks for what Unmarshal forgives.
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if !walk(d, "", 0, f) {
		return nil
	}
	return m
}

// walk looks at the next value of d for members that are there twice. It is false when the value is too deep.
func walk(d *json.Decoder, pointer string, depth int, f *faults) bool {
	t, err := d.Token()
	if err != nil {
		return false
	}
	open, ok := t.(json.Delim)
	if !ok {
		return true
	}
	if depth > maxDepth {
		f.add(manifestName, ruleJSON, "objects and arrays are more than %d deep in each other", maxDepth)
		return false
	}
	seen := map[string]bool{}
	for i := 0; d.More(); i++ {
		at := pointer + "/" + strconv.Itoa(i)
		if open == '{' {
			k, err := d.Token()
			if err != nil {
				return false
			}
			key, _ := k.(string)
			at = below(pointer, key)
			if seen[key] {
				f.add(at, ruleDuplicate, "the member is there twice")
			}
			seen[key] = true
		}
		if !walk(d, at, depth+1, f) {
			return false
		}
	}
	_, err = d.Token() // the closing brace or bracket
	return err == nil
}
