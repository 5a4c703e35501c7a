package manifest_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/manifest"
)

const (
	botID  = "01234567-89ab-cdef-0123-456789abcdef"
	public = "https://snowbot.example.com"
)

func build(t testing.TB, o manifest.Options) []byte {
	t.Helper()
	if o.BotID == "" {
		o.BotID, o.PublicURL = botID, public
	}
	packed, err := manifest.Build(o)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return packed
}

// unzip returns the files of a package by name.
func unzip(t testing.TB, packed []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[e.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// decode returns manifest.json of a package.
func decode(t testing.TB, packed []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(unzip(t, packed)["manifest.json"], &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// at returns what a pointer points to.
func at(t testing.TB, m any, pointer string) any {
	t.Helper()
	parent, last := parentOf(t, m, pointer)
	return parent[last]
}

func TestBuildWritesWhatTeamsNeeds(t *testing.T) {
	t.Parallel()
	m := decode(t, build(t, manifest.Options{}))
	for pointer, want := range map[string]any{
		"/$schema":                             "https://developer.microsoft.com/en-us/json-schemas/teams/v1.19/MicrosoftTeams.schema.json",
		"/manifestVersion":                     "1.19",
		"/version":                             "1.0.0",
		"/id":                                  botID,
		"/developer/websiteUrl":                public,
		"/developer/privacyUrl":                public,
		"/developer/termsOfUseUrl":             public,
		"/icons":                               map[string]any{"outline": "outline.png", "color": "color.png"},
		"/accentColor":                         "#0F5C7A",
		"/defaultInstallScope":                 "personal",
		"/bots/0/botId":                        botID,
		"/bots/0/scopes":                       []any{"personal", "team", "groupChat"},
		"/bots/0/supportsFiles":                true,
		"/bots/0/isNotificationOnly":           false,
		"/bots/0/commandLists/0/scopes":        []any{"personal"},
		"/bots/0/commandLists/1/scopes":        []any{"team"},
		"/bots/0/commandLists/2/scopes":        []any{"groupChat"},
		"/bots/0/commandLists/2/commands/0":    map[string]any{"title": "Talk to a person", "description": "Ask for a live agent of the service desk"},
		"/bots/0/commandLists/0/commands/3":    map[string]any{"title": "End chat", "description": "End the chat with the live agent"},
		"/validDomains":                        []any{"snowbot.example.com"},
		"/webApplicationInfo":                  nil,
		"/authorization":                       nil,
		"/name/short":                          "Snowbot",
		"/bots/0/commandLists/1/commands/1":    map[string]any{"title": "Help", "description": "What I can do for you"},
		"/bots/0/commandLists/1/commands/2":    map[string]any{"title": "Cancel", "description": "Stop waiting for a live agent"},
		"/bots/0/needsChannelSelector":         nil,
		"/description/short":                   "Get help, and chat with a live agent of your service desk.",
		"/developer/name":                      "Snowbot",
		"/bots/0/commandLists/2/commands/3/id": nil,
	} {
		if d := cmp.Diff(want, at(t, m, pointer)); d != "" {
			t.Errorf("%s (-want +got):\n%s", pointer, d)
		}
	}
}

func TestBuildFollowsItsOptions(t *testing.T) {
	t.Parallel()
	m := decode(t, build(t, manifest.Options{
		BotID: strings.ToUpper(botID), AppID: "11111111-2222-3333-4444-555555555555", Version: "2.10.3",
		ShortName: "Hilfe & mehr <3", Developer: manifest.Developer{Name: "Contoso", Website: "https://contoso.example/", Privacy: "https://contoso.example/p"},
		PublicURL: "https://Snowbot.example.com:8443/base", Scopes: []string{"team", "personal"}, Commands: []manifest.Command{},
		Permissions: []string{"ChannelMessage.Read.Group"},
	}))
	for pointer, want := range map[string]any{
		"/id":                      "11111111-2222-3333-4444-555555555555",
		"/bots/0/botId":            botID,
		"/version":                 "2.10.3",
		"/name":                    map[string]any{"short": "Hilfe & mehr <3", "full": "Hilfe & mehr <3"},
		"/developer/termsOfUseUrl": "https://contoso.example/",
		"/developer/privacyUrl":    "https://contoso.example/p",
		"/validDomains":            []any{"snowbot.example.com:8443"},
		"/defaultInstallScope":     "personal",
		"/bots/0/commandLists":     nil,
		"/webApplicationInfo/id":   botID,
		"/authorization/permissions/resourceSpecific": []any{map[string]any{"name": "ChannelMessage.Read.Group", "type": "Application"}},
	} {
		if d := cmp.Diff(want, at(t, m, pointer)); d != "" {
			t.Errorf("%s (-want +got):\n%s", pointer, d)
		}
	}
	loopback := decode(t, build(t, manifest.Options{
		BotID: botID, PublicURL: "http://127.0.0.1:3978", Developer: manifest.Developer{Website: "https://contoso.example"},
	}))
	if d := loopback["validDomains"]; d != nil {
		t.Errorf("validDomains = %v for a loopback address, want none: Teams cannot reach it", d)
	}
}

func TestBuildRefusesInWords(t *testing.T) {
	t.Parallel()
	website := manifest.Developer{Website: "https://contoso.example"}
	long := strings.Repeat("ä", 31)
	for _, tt := range []struct {
		name        string
		o           manifest.Options
		field, rule string
	}{
		{"no bot id", manifest.Options{BotID: " ", PublicURL: public}, "/bots/0/botId", "pattern"},
		{"id in braces", manifest.Options{BotID: "{" + botID + "}", PublicURL: public}, "/bots/0/botId", "pattern"},
		{"id of zeros", manifest.Options{BotID: "00000000-0000-0000-0000-000000000000", PublicURL: public}, "/bots/0/botId", "placeholder"},
		{"no website", manifest.Options{BotID: botID}, "/developer/websiteUrl", "pattern"},
		{"plain website", manifest.Options{BotID: botID, Developer: manifest.Developer{Website: "http://contoso.example"}}, "/developer/websiteUrl", "url"},
		{"plain public URL", manifest.Options{BotID: botID, PublicURL: "http://contoso.example", Developer: website}, "/validDomains", "domain"},
		{"no URL at all", manifest.Options{BotID: botID, PublicURL: "contoso.example", Developer: website}, "/validDomains", "domain"},
		{"host in another alphabet", manifest.Options{BotID: botID, PublicURL: "https://bücher.example", Developer: website}, "/validDomains/0", "domain"},
		{"IPv6 address", manifest.Options{BotID: botID, PublicURL: "https://[2001:db8::1]", Developer: website}, "/validDomains/0", "domain"},
		{"version", manifest.Options{BotID: botID, PublicURL: public, Version: "1.0"}, "/version", "pattern"},
		{"long name", manifest.Options{BotID: botID, PublicURL: public, ShortName: long}, "/name/short", "length"},
		{"name of two lines", manifest.Options{BotID: botID, PublicURL: public, ShortName: "a\nb"}, "/name/short", "text"},
		{"colour", manifest.Options{BotID: botID, PublicURL: public, AccentColor: "blue"}, "/accentColor", "pattern"},
		{"scope in lower case", manifest.Options{BotID: botID, PublicURL: public, Scopes: []string{"groupchat"}}, "/bots/0/scopes/0", "value"},
		{"scope twice", manifest.Options{BotID: botID, PublicURL: public, Scopes: []string{"team", "team"}}, "/bots/0/scopes", "duplicate"},
		{"long command", manifest.Options{BotID: botID, PublicURL: public, Commands: []manifest.Command{{Title: long + "aa", Description: "b"}}}, "/bots/0/commandLists/0/commands/0/title", "length"},
		{"too many commands", manifest.Options{BotID: botID, PublicURL: public, Commands: make([]manifest.Command, 11)}, "/bots/0/commandLists/0/commands", "count"},
		{"permission", manifest.Options{BotID: botID, PublicURL: public, Permissions: []string{"everything"}}, "/authorization/permissions/resourceSpecific/0/name", "permission"},
		{"icon", manifest.Options{BotID: botID, PublicURL: public, ColorIcon: []byte("GIF89a")}, "color.png", "image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			packed, err := manifest.Build(tt.o)
			var invalid *manifest.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("err = %v, want an InvalidError", err)
			}
			if packed != nil {
				t.Error("there is a package all the same")
			}
			if !has(invalid.Faults, tt.field, tt.rule) {
				t.Errorf("faults = %v, want %s: %s", invalid.Faults, tt.field, tt.rule)
			}
			if !strings.Contains(err.Error(), tt.field+": "+tt.rule+": ") {
				t.Errorf("the error does not name the fault: %v", err)
			}
		})
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	t.Parallel()
	packed := build(t, manifest.Options{})
	if !bytes.Equal(packed, build(t, manifest.Options{})) {
		t.Error("two packages of the same options differ")
	}
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range z.File {
		names = append(names, e.Name)
		if got := e.Modified.Format("2006-01-02 15:04"); got != "1980-01-01 00:00" {
			t.Errorf("%s is of %s, want a fixed time", e.Name, got)
		}
		if len(e.Extra) > 0 || e.Comment != "" || e.Flags != 0 || e.Method != zip.Store {
			t.Errorf("%s has extra fields, a comment, flags or compression: %+v", e.Name, e.FileHeader)
		}
	}
	if d := cmp.Diff([]string{"manifest.json", "color.png", "outline.png"}, names); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

// icons returns the two icons of the default package.
func icons(t *testing.T, o manifest.Options) (colored, outline *image.NRGBA) {
	t.Helper()
	files := unzip(t, build(t, o))
	load := func(name string) *image.NRGBA {
		img, err := png.Decode(bytes.NewReader(files[name]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		flat := image.NewNRGBA(img.Bounds())
		draw.Draw(flat, flat.Rect, img, image.Point{}, draw.Src)
		return flat
	}
	return load("color.png"), load("outline.png")
}

// TestIconsStayAsTheyAre compares pixels, since the bytes of a PNG depend on the compressor. Whoever changes the
// drawing looks at the icons, and then changes the sums.
func TestIconsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	colored, outline := icons(t, manifest.Options{})
	for _, tt := range []struct {
		name string
		img  *image.NRGBA
		want string
	}{
		{"color", colored, "a728d4800ff264628d378d4d91f481a55be65a0ca21831cf42d03bd4adf82122"},
		{"outline", outline, "9383d11744105a24d4c4f09795eaf07e168297a12f4bd93f746918627e198736"},
	} {
		sum := sha256.Sum256(tt.img.Pix)
		if got := hex.EncodeToString(sum[:]); got != tt.want {
			t.Errorf("%s icon has the sum %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestColorIconKeepsItsSymbolInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, accent := range []string{"#0F5C7A", "#FFEE00", "#000000", "#ffffff"} {
		img, _ := icons(t, manifest.Options{BotID: botID, PublicURL: public, AccentColor: accent})
		if got := img.Bounds().Size(); got != image.Pt(192, 192) {
			t.Fatalf("size = %v", got)
		}
		ground := img.NRGBAAt(0, 0)
		inked := 0
		middle := image.Rect(48, 48, 144, 144)
		for y := range 192 {
			for x := range 192 {
				c := img.NRGBAAt(x, y)
				if c.A != 255 {
					t.Fatalf("%s: the pixel at %d,%d is not opaque", accent, x, y)
				}
				if c == ground {
					continue
				}
				inked++
				if !image.Pt(x, y).In(middle) {
					t.Fatalf("%s: the symbol leaves the middle at %d,%d", accent, x, y)
				}
			}
		}
		if inked < 3000 {
			t.Errorf("%s: the symbol has %d pixels; can it be seen?", accent, inked)
		}
		if got := hex.EncodeToString([]byte{ground.R, ground.G, ground.B}); !strings.EqualFold("#"+got, accent) {
			t.Errorf("the ground is #%s, want the accent colour %s", got, accent)
		}
	}
}

func TestOutlineIconIsWhiteOnTransparent(t *testing.T) {
	t.Parallel()
	_, img := icons(t, manifest.Options{})
	if got := img.Bounds().Size(); got != image.Pt(32, 32) {
		t.Fatalf("size = %v", got)
	}
	box := image.Rectangle{}
	clear := 0
	for y := range 32 {
		for x := range 32 {
			switch c := img.NRGBAAt(x, y); {
			case c.A == 0:
				clear++
			case c != color.NRGBA{255, 255, 255, c.A}:
				t.Fatalf("the pixel at %d,%d is %v, want white", x, y, c)
			default:
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if box != img.Bounds() {
		t.Errorf("the symbol covers %v, want no padding", box)
	}
	if clear < 300 {
		t.Errorf("%d pixels are transparent; is it an outline?", clear)
	}
}

func TestBuildTakesOtherIcons(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	img := image.NewNRGBA(image.Rect(0, 0, 192, 192))
	img.Set(1, 1, color.NRGBA{255, 0, 0, 255})
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	packed := build(t, manifest.Options{BotID: botID, PublicURL: public, ColorIcon: b.Bytes()})
	if !bytes.Equal(unzip(t, packed)["color.png"], b.Bytes()) {
		t.Error("the package does not hold the icon that was given")
	}
}
