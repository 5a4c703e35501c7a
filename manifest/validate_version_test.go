package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"snowbot/manifest"
)

// The members that came with a version, from the schemas of 1.19 to 1.25.
func TestValidateKnowsWhenMembersCame(t *testing.T) {
	t.Parallel()
	for member, since := range map[string]int{
		"/intuneInfo": 20, "/elementRelationshipSet": 20, "/bots/0/requirementSet": 20,
		"/backgroundLoadConfiguration": 21, "/icons/color32x32": 21,
		"/webApplicationInfo/nestedAppAuthInfo": 22,
		"/bots/0/registrationInfo":              23,
		"/supportsChannelFeatures":              25, "/agenticUserTemplates": 25,
	} {
		for _, n := range []int{since - 1, since} {
			version := fmt.Sprint("1.", n)
			faults := manifest.Validate(changed(t, set{
				"/manifestVersion": version, "/$schema": "https://developer.microsoft.com/en-us/json-schemas/teams/v" + version + "/MicrosoftTeams.schema.json",
				member: map[string]any{},
			}))
			if has(faults, member, "unknown") != (n < since) {
				t.Errorf("%s in version %s: faults = %v; it came with 1.%d", member, version, faults, since)
			}
		}
	}
}

func TestValidateLooksEverywhere(t *testing.T) {
	t.Parallel()
	const zeros = "00000000-0000-0000-0000-000000000000"
	command := func(title, description string) []any {
		return []any{map[string]any{"title": title, "description": description}}
	}
	for _, tt := range []struct {
		name string
		set  set
		want string // field and rule; "" for none
	}{
		{"id of zeros", set{"/id": zeros}, "/id placeholder"},
		{"registration of zeros", set{"/webApplicationInfo/id": zeros}, "/webApplicationInfo/id placeholder"},
		{"template in an array", set{"/validDomains": []any{"{{DOMAIN}}"}}, "/validDomains/0 placeholder"},
		{"template in an object in an array", set{"/bots/0/commandLists/0/commands": command("${{NAME}}", "d")}, "/bots/0/commandLists/0/commands/0/title placeholder"},
		{"full name of two lines", set{"/name/full": "a\nb"}, "/name/full text"},
		{"blank developer", set{"/developer/name": " "}, "/developer/name text"},
		{"blank description of a command", set{"/bots/0/commandLists/0/commands": command("a", " ")}, "/bots/0/commandLists/0/commands/0/description text"},
		{"documents on plain http", set{"/publisherDocsUrl": "http://a.example"}, "/publisherDocsUrl url"},
		{"documents", set{"/publisherDocsUrl": "https://a.example"}, ""},
		{"URL with a blank", set{"/developer/websiteUrl": "https://a.example/b c"}, "/developer/websiteUrl url"},
		{"no scope for commands", set{"/bots/0/commandLists/0/scopes": []any{}}, "/bots/0/commandLists/0/scopes count"},
		{"scope of commands twice", set{"/bots/0/commandLists/0/scopes": []any{"personal", "personal"}}, "/bots/0/commandLists/0/scopes duplicate"},
		{"domain with port 0", set{"/validDomains": []any{"a.example:0"}}, "/validDomains/0 domain"},
		{"domain with a high port", set{"/validDomains": []any{"a.example:65536"}}, "/validDomains/0 domain"},
		{"domain of this machine", set{"/validDomains": []any{"localhost:3978"}}, ""},
		{"domain in another alphabet", set{"/validDomains": []any{"bücher.example"}}, "/validDomains/0 domain"},
		{"endless domain", set{"/validDomains": []any{strings.Repeat("a.", 126) + "example"}}, "/validDomains/0 domain"},
		{"version with a leading zero", set{"/manifestVersion": "1.019"}, "/manifestVersion version"},
		{"version 2", set{"/manifestVersion": "2.19"}, "/manifestVersion version"},
		{"two permissions of one name", set{"/authorization/permissions/resourceSpecific": []any{
			map[string]any{"name": "ChatMessage.Read.Chat", "type": "Application"}, map[string]any{"name": "ChatMessage.Read.Chat", "type": "Delegated"},
		}}, ""},
		{"two permissions of one type", set{"/authorization/permissions/resourceSpecific": []any{
			map[string]any{"name": "ChatMessage.Read.Chat", "type": "Application"}, map[string]any{"name": "ChatMember.Read.Chat", "type": "Application"},
		}}, ""},
	} {
		faults := manifest.Validate(changed(t, tt.set))
		field, rule, _ := strings.Cut(tt.want, " ")
		if tt.want == "" && len(faults) > 0 || tt.want != "" && !has(faults, field, rule) {
			t.Errorf("%s: faults = %v, want %q", tt.name, faults, tt.want)
		}
	}
}

// Hints save whoever reads a fault from looking for its cause.
func TestValidateSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	text, c, o := entries(t)
	folder := func(names ...string) []byte {
		var all []entry
		for _, n := range names {
			all = append(all, entry{name: n, data: text.data})
		}
		return zipped(t, append(all, c, o)...)
	}
	for hint, packed := range map[string][]byte{
		"it is spelt accentColor":                               changed(t, set{"/AccentColor": "#000000"}),
		"is spelt \"color.png\"":                                changed(t, set{"/icons/color": "Color.png"}),
		"save it as UTF-8":                                      withManifest(t, []byte("\xFE\xFF\x00{\x00}")),
		"save it as UTF-8 without one":                          withManifest(t, append([]byte("\xEF\xBB\xBF"), text.data...)),
		"in lower case":                                         folder("Manifest.json"),
		"a/manifest.json: root: ":                               folder("b/c/manifest.json", "z/manifest.json", "a/manifest.json"),
		"manifest.json: missing: the package holds no manifest": zipped(t, c, o),
	} {
		var lines []string
		for _, f := range manifest.Validate(packed) {
			lines = append(lines, f.String())
		}
		if all := strings.Join(lines, "\n"); !strings.Contains(all, hint) {
			t.Errorf("faults = %s\nwant one that says %q", all, hint)
		}
	}
	// A byte order mark is one fault, and not the end.
	bom := bytes.Replace(text.data, []byte(`"1.0.0"`), []byte(`"one"`), 1)
	if faults := manifest.Validate(withManifest(t, append([]byte("\xEF\xBB\xBF"), bom...))); !has(faults, "/version", "pattern") {
		t.Errorf("faults = %v, want that of the version, too", faults)
	}
}

func TestValidateIconsByWidthHeightAndColour(t *testing.T) {
	t.Parallel()
	text, c, o := entries(t)
	icon := func(w, h int, paint color.Color) []byte {
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		for x := 1; x < w; x++ {
			img.Set(x, 1, paint)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	white := color.NRGBA{255, 255, 255, 255}
	for name, tt := range map[string]struct {
		colored, outline []byte
		want             string
	}{
		"wide":        {icon(193, 192, white), o.data, "color.png image"},
		"high":        {icon(192, 193, white), o.data, "color.png image"},
		"less red":    {c.data, icon(32, 32, color.NRGBA{254, 255, 255, 255}), "outline.png white"},
		"less green":  {c.data, icon(32, 32, color.NRGBA{255, 254, 255, 255}), "outline.png white"},
		"less blue":   {c.data, icon(32, 32, color.NRGBA{255, 255, 254, 255}), "outline.png white"},
		"as it is to": {icon(192, 192, color.NRGBA{9, 9, 9, 255}), icon(32, 32, white), ""},
	} {
		faults := manifest.Validate(zipped(t, text, entry{name: "color.png", data: tt.colored}, entry{name: "outline.png", data: tt.outline}))
		field, rule, _ := strings.Cut(tt.want, " ")
		if tt.want == "" && len(faults) > 0 || tt.want != "" && !has(faults, field, rule) {
			t.Errorf("%s: faults = %v, want %q", name, faults, tt.want)
		}
	}
}

func TestBuildCompletesNamesAndIDs(t *testing.T) {
	t.Parallel()
	const app = "ABCDEF01-2345-6789-ABCD-EF0123456789"
	m := decode(t, build(t, manifest.Options{BotID: botID, PublicURL: public, AppID: app, FullName: "The whole name", Description: "<b> & more"}))
	for pointer, want := range map[string]any{
		"/id": strings.ToLower(app), "/name/short": "Snowbot", "/name/full": "The whole name", "/description/full": "<b> & more",
	} {
		if got := at(t, m, pointer); got != want {
			t.Errorf("%s = %v, want %v", pointer, got, want)
		}
	}
	plain := build(t, manifest.Options{BotID: botID, PublicURL: public, Description: "<b> & more"})
	if raw := unzip(t, plain)["manifest.json"]; !json.Valid(raw) || !bytes.Contains(raw, []byte("<b> & more")) {
		t.Error("the manifest is not written to be read by people")
	}
	if got := at(t, decode(t, plain), "/name/full"); got != "Snowbot, the way to your service desk" {
		t.Errorf("full name = %v", got)
	}
}
