package manifest_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"image/color"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"snowbot/manifest"
)

func has(faults []manifest.Fault, field, rule string) bool {
	return slices.ContainsFunc(faults, func(f manifest.Fault) bool { return f.Field == field && f.Rule == rule })
}

// entry is a file of a package that a test makes.
type entry struct {
	name string
	data []byte
	edit func(*zip.FileHeader)
}

func zipped(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.edit != nil {
			e.edit(h)
		}
		fw, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fw.Write(e.data); err != nil && !strings.HasSuffix(e.name, "/") {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// good builds a package once, since the icons take a while to draw.
var good = sync.OnceValues(func() ([]byte, error) {
	return manifest.Build(manifest.Options{BotID: botID, PublicURL: public, Permissions: []string{"ChatMessage.Read.Chat"}})
})

// entries are the files of a good package.
func entries(t testing.TB) (text, colored, outline entry) {
	t.Helper()
	packed, err := good()
	if err != nil {
		t.Fatal(err)
	}
	files := unzip(t, packed)
	of := func(name string) entry { return entry{name: name, data: files[name]} }
	return of("manifest.json"), of("color.png"), of("outline.png")
}

// withManifest is a good package but for its manifest.
func withManifest(t testing.TB, text []byte) []byte {
	t.Helper()
	_, c, o := entries(t)
	return zipped(t, entry{name: "manifest.json", data: text}, c, o)
}

// parentOf returns what the last part of a pointer is a member of; an empty object when there is nothing.
func parentOf(t testing.TB, v any, pointer string) (map[string]any, string) {
	t.Helper()
	parts := strings.Split(pointer, "/")[1:]
	for i, part := range parts {
		switch x := v.(type) {
		case map[string]any:
			if i == len(parts)-1 {
				return x, part
			}
			v = x[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(x) {
				t.Fatalf("no element %s in %s", part, pointer)
			}
			if i == len(parts)-1 {
				return map[string]any{part: x[n]}, part
			}
			v = x[n]
		default:
			t.Fatalf("nothing at %s", pointer)
		}
	}
	return map[string]any{}, ""
}

type set map[string]any

// absent removes a member.
type absent struct{}

// changed is a good package in whose manifest some members are others.
func changed(t testing.TB, changes set) []byte {
	t.Helper()
	text, _, _ := entries(t)
	var m map[string]any
	if err := json.Unmarshal(text.data, &m); err != nil {
		t.Fatal(err)
	}
	for pointer, v := range changes {
		parent, name := parentOf(t, m, pointer)
		if _, gone := v.(absent); gone {
			delete(parent, name)
		} else {
			parent[name] = v
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return withManifest(t, out)
}

func TestValidateFindsNothingInWhatBuildMakes(t *testing.T) {
	t.Parallel()
	text, c, o := entries(t)
	for name, packed := range map[string][]byte{
		"as built":               build(t, manifest.Options{}),
		"compressed":             zipped(t, text, c, o),
		"with a folder of texts": zipped(t, text, c, o, entry{name: "locales/"}, entry{name: "locales/de.json", data: []byte("{}")}),
	} {
		if faults := manifest.Validate(packed); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

func TestValidateManifest(t *testing.T) {
	t.Parallel()
	version := func(v string) set {
		return set{"/manifestVersion": v, "/$schema": "https://developer.microsoft.com/en-us/json-schemas/teams/v" + v + "/MicrosoftTeams.schema.json"}
	}
	and := func(a, b set) set {
		for k, v := range b {
			a[k] = v
		}
		return a
	}
	command := func(n int) []any {
		list := []any{}
		for i := range n {
			list = append(list, map[string]any{"title": fmt.Sprint("c", i), "description": "d"})
		}
		return list
	}
	scopes := func(s ...any) []any { return append([]any{}, s...) }
	for _, tt := range []struct {
		name string
		set  set
		want string // field and rule; "" for none
	}{
		{"nothing changed", set{}, ""},
		{"newest version", version("1.25"), ""},
		{"older version", version("1.17"), "/manifestVersion version"},
		{"version that is to come", version("1.31"), "/manifestVersion version"},
		{"version is a number", set{"/manifestVersion": 1.19}, "/manifestVersion type"},
		{"schema of another version", set{"/manifestVersion": "1.20"}, "/$schema version"},
		{"no schema", set{"/$schema": absent{}}, "/$schema required"},
		{"no developer", set{"/developer": absent{}}, "/developer required"},
		{"no privacy statement", set{"/developer/privacyUrl": absent{}}, "/developer/privacyUrl required"},
		{"no full name", set{"/name/full": absent{}}, "/name/full required"},
		{"no full name, later", and(version("1.20"), set{"/name/full": absent{}}), ""},
		{"no bot", set{"/bots": []any{}}, "/bots count"},
		{"two bots", set{"/bots": []any{map[string]any{}, map[string]any{}}}, "/bots count"},
		{"bots is an object", set{"/bots": map[string]any{}}, "/bots type"},
		{"no bot id", set{"/bots/0/botId": absent{}}, "/bots/0/botId required"},
		{"bot id", set{"/bots/0/botId": "snowbot"}, "/bots/0/botId pattern"},
		{"template", set{"/id": "${{TEAMS_APP_ID}}"}, "/id placeholder"},
		{"nobody can write", set{"/bots/0/isNotificationOnly": true}, "/bots/0/isNotificationOnly scope"},
		{"unknown member", set{"/bots/0/supportFiles": true}, "/bots/0/supportFiles unknown"},
		{"member in another case", set{"/AccentColor": "#000000"}, "/AccentColor unknown"},
		{"member with odd name", set{"/a~b\n": 1}, `/a~0b\n unknown`},
		{"member of a later version", set{"/supportsChannelFeatures": "tier1"}, "/supportsChannelFeatures unknown"},
		{"member of that version", and(version("1.25"), set{"/supportsChannelFeatures": "tier1"}), ""},
		{"member nobody checks here", set{"/staticTabs": []any{}}, "/staticTabs unchecked"},
		{"number for a text", set{"/name/short": 7}, "/name/short type"},
		{"null for a text", set{"/name/short": nil}, "/name/short type"},
		{"text for a boolean", set{"/bots/0/supportsFiles": "true"}, "/bots/0/supportsFiles type"},
		{"longest name", set{"/name/short": strings.Repeat("😀", 30)}, ""},
		{"long name", set{"/name/short": strings.Repeat("😀", 31)}, "/name/short length"},
		{"blank name", set{"/name/short": "\u00a0"}, "/name/short text"},
		{"name with blanks around", set{"/name/short": " a"}, "/name/short text"},
		{"description of two lines", set{"/description/short": "a\nb"}, "/description/short text"},
		{"long description of two lines", set{"/description/full": "a\n\nb"}, ""},
		{"long description with an escape", set{"/description/full": "a\x1b[0m"}, "/description/full text"},
		{"version with a tag", set{"/version": "1.0.0-beta"}, "/version pattern"},
		{"version with zeros", set{"/version": "01.0.0"}, "/version pattern"},
		{"URL without a host", set{"/developer/websiteUrl": "https:///path"}, "/developer/websiteUrl url"},
		{"URL with credentials", set{"/developer/websiteUrl": "https://a:b@c.example"}, "/developer/websiteUrl url"},
		{"URL of another kind", set{"/developer/websiteUrl": "ftp://c.example"}, "/developer/websiteUrl pattern"},
		{"URL in capitals", set{"/developer/websiteUrl": "HTTPS://C.example"}, ""},
		{"colour of three digits", set{"/accentColor": "#fff"}, "/accentColor pattern"},
		{"groupchat", set{"/bots/0/scopes": scopes("groupchat")}, "/bots/0/scopes/0 value"},
		{"copilot too early", set{"/bots/0/scopes": scopes("personal", "team", "groupChat", "copilot")}, "/bots/0/scopes/3 value"},
		{"copilot", and(version("1.21"), set{"/bots/0/scopes": scopes("personal", "team", "groupChat", "copilot")}), ""},
		{"no scope", set{"/bots/0/scopes": scopes()}, "/bots/0/scopes count"},
		{"scope twice", set{"/bots/0/scopes": scopes("team", "personal", "team")}, "/bots/0/scopes duplicate"},
		{"scopes that are no texts", set{"/bots/0/scopes": scopes(map[string]any{}, map[string]any{}, 1)}, "/bots/0/scopes/1 type"},
		{"default scope is none of the bot's", set{"/bots/0/scopes": scopes("team"), "/bots/0/commandLists": []any{}}, "/defaultInstallScope scope"},
		{"default scope of meetings", set{"/defaultInstallScope": "meetings"}, ""},
		{"default scope", set{"/defaultInstallScope": "copilot"}, "/defaultInstallScope value"},
		{"commands of another scope", set{"/bots/0/scopes": scopes("personal")}, "/bots/0/commandLists/1/scopes scope"},
		{"two lists for a scope", set{"/bots/0/commandLists/1/scopes": scopes("personal")}, "/bots/0/commandLists/1/scopes scope"},
		{"ten commands", set{"/bots/0/commandLists/0/commands": command(10)}, ""},
		{"eleven commands", set{"/bots/0/commandLists/0/commands": command(11)}, "/bots/0/commandLists/0/commands count"},
		{"twelve commands, later", and(version("1.24"), set{"/bots/0/commandLists/0/commands": command(12)}), ""},
		{"no commands", set{"/bots/0/commandLists/0/commands": command(0)}, "/bots/0/commandLists/0/commands count"},
		{"long title", set{"/bots/0/commandLists/0/commands/0/title": strings.Repeat("a", 33)}, "/bots/0/commandLists/0/commands/0/title length"},
		{"long title, later", and(version("1.21"), set{"/bots/0/commandLists/0/commands/0/title": strings.Repeat("a", 33)}), ""},
		{"title twice", set{"/bots/0/commandLists/0/commands/0/title": "help"}, "/bots/0/commandLists/0/commands/1/title duplicate"},
		{"blank title", set{"/bots/0/commandLists/0/commands/0/title": ""}, "/bots/0/commandLists/0/commands/0/title text"},
		{"domain with a scheme", set{"/validDomains": scopes("https://a.example")}, "/validDomains/0 domain"},
		{"domain with a path", set{"/validDomains": scopes("a.example/")}, "/validDomains/0 domain"},
		{"domain with a port", set{"/validDomains": scopes("a.example:8443")}, ""},
		{"domain with no port", set{"/validDomains": scopes("a.example:")}, "/validDomains/0 domain"},
		{"domain with a star", set{"/validDomains": scopes("*.a.example")}, ""},
		{"domain with a wide star", set{"/validDomains": scopes("*.example")}, "/validDomains/0 domain"},
		{"domain with a star inside", set{"/validDomains": scopes("a.*.example")}, "/validDomains/0 domain"},
		{"domain with a blank", set{"/validDomains": scopes("a .example")}, "/validDomains/0 domain"},
		{"empty domain", set{"/validDomains": scopes("")}, "/validDomains/0 domain"},
		{"domain of one label", set{"/validDomains": scopes("intranet")}, "/validDomains/0 domain"},
		{"domain twice", set{"/validDomains": scopes("a.example", "A.example")}, "/validDomains/1 duplicate"},
		{"permission nobody knows", set{"/authorization/permissions/resourceSpecific/0/name": "All"}, "/authorization/permissions/resourceSpecific/0/name permission"},
		{"type of permission", set{"/authorization/permissions/resourceSpecific/0/type": "Both"}, "/authorization/permissions/resourceSpecific/0/type value"},
		{
			"permission twice",
			set{"/authorization/permissions/resourceSpecific": scopes(
				map[string]any{"name": "ChatMessage.Read.Chat", "type": "Application"}, map[string]any{"name": "ChatMessage.Read.Chat", "type": "Application"})},
			"/authorization/permissions/resourceSpecific/1 duplicate",
		},
		{"permission without registration", set{"/webApplicationInfo": absent{}}, "/webApplicationInfo permission"},
		{"permission without resource", set{"/webApplicationInfo/resource": absent{}}, "/webApplicationInfo/resource permission"},
		{"icon that is not there", set{"/icons/color": "logo.png"}, "/icons/color missing"},
		{"icon in another case", set{"/icons/color": "Color.png"}, "/icons/color missing"},
		{"icon in a folder", set{"/icons/color": "img/color.png"}, "/icons/color root"},
		{"icon outside", set{"/icons/color": "../color.png"}, "/icons/color path"},
		{"icons changed over", set{"/icons/color": "outline.png"}, "outline.png image"},
		{"outline in colour", set{"/icons/outline": "color.png"}, "color.png image"},
		{"third icon", and(version("1.21"), set{"/icons/color32x32": "outline.png"}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			faults := manifest.Validate(changed(t, tt.set))
			if tt.want == "" {
				if len(faults) > 0 {
					t.Errorf("faults = %v, want none", faults)
				}
				return
			}
			field, rule, _ := strings.Cut(tt.want, " ")
			if !has(faults, field, rule) {
				t.Errorf("faults = %v, want %s", faults, tt.want)
			}
			for _, f := range faults {
				if f.Message == "" || strings.ContainsAny(f.String(), "\n\r\x1b") {
					t.Errorf("fault %q cannot be shown on one line", f)
				}
			}
		})
	}
}

func TestValidateText(t *testing.T) {
	t.Parallel()
	text, _, _ := entries(t)
	good := string(text.data)
	for _, tt := range []struct{ name, text, field, rule string }{
		{"empty", "", "manifest.json", "json"},
		{"null", "null", "manifest.json", "json"},
		{"array", "[]", "manifest.json", "json"},
		{"text after it", good + "x", "manifest.json", "json"},
		{"trailing comma", strings.Replace(good, `"1.0.0",`, `"1.0.0",,`, 1), "manifest.json", "json"},
		{"byte order mark", "\xEF\xBB\xBF" + good, "manifest.json", "encoding"},
		{"UTF-16", "\xFF\xFE{\x00}\x00", "manifest.json", "encoding"},
		{"Latin-1", strings.Replace(good, "Snowbot", "Sn\xF6wbot", 1), "manifest.json", "encoding"},
		{"member twice", strings.Replace(good, `"version": "1.0.0",`, `"version": "1.0.0", "version": "2.0.0",`, 1), "/version", "duplicate"},
		{"member twice, inside", strings.Replace(good, `"short": "Snowbot",`, `"short": "Snowbot", "short": "x",`, 1), "/name/short", "duplicate"},
		{"very deep", `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", "manifest.json", "json"},
		{"deeper than JSON may be", strings.Repeat("[", 1<<20), "manifest.json", "json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if faults := manifest.Validate(withManifest(t, []byte(tt.text))); !has(faults, tt.field, tt.rule) {
				t.Errorf("faults = %v, want %s: %s", faults, tt.field, tt.rule)
			}
		})
	}
	t.Run("line of the mistake", func(t *testing.T) {
		t.Parallel()
		faults := manifest.Validate(withManifest(t, []byte("{\n\"a\": 1,\n\"b\": oops\n}")))
		if len(faults) != 1 || !strings.Contains(faults[0].Message, "line 3") {
			t.Errorf("faults = %v, want line 3", faults)
		}
	})
}

func TestValidateReportsABoundedNumber(t *testing.T) {
	t.Parallel()
	var list []any
	for range 20_000 {
		list = append(list, 1)
	}
	start := time.Now()
	faults := manifest.Validate(changed(t, set{"/validDomains": list, "/bots/0/scopes": list, "/bots/0/commandLists": list}))
	if len(faults) != 100 {
		t.Errorf("%d faults, want 100", len(faults))
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
}

// The seeds are small: the fuzzer spends its time on making inputs smaller otherwise.
func FuzzValidate(f *testing.F) {
	white := picture(f, 32, func(x, _ int) color.Color { return color.NRGBA{255, 255, 255, uint8(x)} }) // below 32
	f.Add(zipped(f, entry{name: "manifest.json", data: []byte(`{"icons":{"outline":"a.png"}}`)}, entry{name: "a.png", data: white}))
	f.Add(zipped(f, entry{name: "../a", data: []byte("x")}, entry{name: "a/manifest.json"}))
	f.Add(zipped(f, entry{"l", nil, func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink) }}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, packed []byte) { checkFaults(t, manifest.Validate(packed)) })
}

func FuzzValidateManifest(f *testing.F) {
	_, c, o := entries(f)
	f.Add([]byte(`{"manifestVersion":"1.25","name":{"short":"{{a}}"},"developer":{"websiteUrl":"https://a"},"authorization":{"permissions":{"resourceSpecific":[{}]}}}`))
	f.Add([]byte(`{"bots":[{"scopes":[{},{}],"commandLists":[{"scopes":[[]],"commands":[null]}]}],"icons":{"color":"\u0000"}}`))
	f.Add([]byte(`{"":{"":1,"":2},"validDomains":["*",":",".","[::1]"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkFaults(t, manifest.Validate(zipped(t, entry{name: "manifest.json", data: raw}, c, o)))
	})
}

// checkFaults is what holds for every list of faults.
func checkFaults(t *testing.T, faults []manifest.Fault) {
	t.Helper()
	if len(faults) > 100 {
		t.Errorf("%d faults", len(faults))
	}
	for _, f := range faults {
		line := f.String()
		if f.Field == "" || f.Rule == "" || f.Message == "" || len(line) > 2000 {
			t.Errorf("fault %q is not complete, or long", line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7F || r == 0x9B }) {
			t.Errorf("fault %q holds control characters", line)
		}
	}
}
