package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
)

// A door says who lets a request in: we, botframework-connector 4.23.3 (in botbuilder) and @microsoft/teams.apps 2.1.0.
type door struct{ Ours, Connector, Teams bool }

const in, out = true, false

// TestJudgeTokens compares whom our verifier lets in with two libraries of Microsoft. Wherever we differ from one of
// them the row says why.
func TestJudgeTokens(t *testing.T) {
	t.Parallel()
	judges(t)
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	unendorsed, err := teams.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	service := teams.ServiceURL()
	claim := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	after := func(name string, d time.Duration) func(map[string]any) {
		return claim(name, time.Now().Add(d).Unix())
	}
	alg := func(name string) func(*adaptertest.Signing) {
		return func(s *adaptertest.Signing) { s.Alg = name }
	}
	activity := func(name string, value any) func(map[string]any) { return claim(name, value) }
	const (
		loose       = "an expiry, a service URL and a channel that the key is endorsed for are asked of every request"
		array       = "RFC 7519 allows an array of audiences, and only one that has nobody else but strings in it is taken"
		slash       = "one side of the same address may have lost its trailing slash"
		insensitive = "hosts are compared by letter: Teams always spells them alike"
		unscheme    = "a token without its scheme is no bearer token"
		emulator    = "the Bot Framework Emulator is not served"
		skill       = "a token that another application asked for is not the Connector's"
		stranger    = "7c9c5b8e-0000-4000-8000-00000000abcd"
		stronger    = "the key set does not forbid it, and it is no weaker"
	)
	rows := []struct {
		name     string
		claims   func(map[string]any)
		sign     func(*adaptertest.Signing)
		activity func(map[string]any)
		header   func(token string) string
		want     door
		why      string // we differ
	}{
		{name: "good", want: door{in, in, in}},
		// All allow five minutes, to the second in the tests of the verifier; here a minute is left for a slow machine.
		{name: "expired 4 min ago", claims: after("exp", -4*time.Minute), want: door{in, in, in}},
		{name: "expired 5 min 10 s ago", claims: after("exp", -310*time.Second), want: door{out, out, out}},
		{name: "valid in 1 min", claims: after("nbf", time.Minute), want: door{in, in, in}},
		{name: "valid in 6 min", claims: after("nbf", 6*time.Minute), want: door{out, out, out}},
		{name: "no expiry", claims: claim("exp", nil), want: door{out, in, in}, why: loose},
		{name: "wrong issuer", claims: claim("iss", "https://evil.example"), want: door{out, out, out}},
		{name: "issuer of another cloud", claims: claim("iss", "https://api.botframework.us"), want: door{out, out, out}},
		{name: "no issuer", claims: claim("iss", nil), want: door{out, out, out}},
		{name: "wrong audience", claims: claim("aud", "other"), want: door{out, out, out}},
		{name: "no audience", claims: claim("aud", nil), want: door{out, out, out}},
		{name: "an array of audiences, ours alone", claims: claim("aud", []string{teams.AppID()}), want: door{in, out, in}, why: array},
		{name: "an array of audiences with ours", claims: claim("aud", []string{teams.AppID(), "x"}), want: door{in, out, in}, why: array},
		{name: "audience api://", claims: claim("aud", "api://"+teams.AppID()), want: door{out, out, in}, why: "it is taken when configured"},
		{name: "no service url in the token", claims: claim("serviceurl", nil), want: door{out, out, out}},
		{name: "wrong service url", claims: claim("serviceurl", "https://smba.trafficmanager.net/amer/"), want: door{out, out, out}},
		{name: "service url without its slash", claims: claim("serviceurl", strings.TrimSuffix(service, "/")), want: door{in, out, in}, why: slash},
		{name: "service url in capitals", claims: claim("serviceurl", strings.ToUpper(service)), want: door{out, out, in}, why: insensitive},
		{name: "no service url in the activity", activity: activity("serviceUrl", nil), want: door{out, in, in}, why: loose},
		{name: "unknown key", sign: func(s *adaptertest.Signing) { s.KeyID = "nobody" }, want: door{out, out, out}},
		{name: "no key id", sign: func(s *adaptertest.Signing) { s.OmitKeyID = true }, want: door{out, out, out}},
		{name: "another key under the name", sign: func(s *adaptertest.Signing) { s.Foreign = true }, want: door{out, out, out}},
		{name: "channel that the key is not endorsed for", activity: activity("channelId", "directline"), want: door{out, out, in}, why: loose},
		{name: "no channel", activity: activity("channelId", nil), want: door{out, out, in}, why: loose},
		{name: "key without endorsements", sign: func(s *adaptertest.Signing) { s.KeyID = unendorsed }, want: door{out, in, in}, why: loose},
		{name: "scheme in lower case", header: func(s string) string { return "bearer " + s }, want: door{out, out, out}},
		{name: "two spaces", header: func(s string) string { return "Bearer  " + s }, want: door{out, out, out}},
		{name: "scheme Basic", header: func(s string) string { return "Basic " + s }, want: door{out, out, out}},
		{name: "no scheme", header: func(s string) string { return s }, want: door{out, out, in}, why: unscheme},
		{name: "no header", header: func(string) string { return "" }, want: door{out, out, out}},
		{name: "garbage", header: func(string) string { return "Bearer a.b.c" }, want: door{out, out, out}},
		{name: "HS256 keyed by the public key", sign: alg("HS256"), want: door{out, out, out}},
		{name: "no signature", sign: alg("none"), want: door{out, out, out}},
		{name: "PS256", sign: alg("PS256"), want: door{out, out, out}},
		{name: "RS512", sign: alg("RS512"), want: door{in, in, out}, why: stronger},
		{name: "asked for by another application", claims: func(c map[string]any) { c["ver"], c["appid"] = "1.0", "other" }, want: door{out, out, in}, why: skill},
		{name: "issuer of the emulator", claims: func(c map[string]any) {
			c["iss"], c["ver"], c["appid"] = "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/", "1.0", teams.AppID()
		}, want: door{out, in, out}, why: emulator},
		{name: "issuer of the emulator, any tenant", claims: func(c map[string]any) {
			c["iss"], c["tid"], c["ver"], c["azp"] = "https://login.microsoftonline.com/"+stranger+"/v2.0", stranger, "2.0", teams.AppID()
		}, want: door{out, in, out}, why: emulator},
	}

	verifier, err := adapter.NewVerifier(adapter.VerifierOptions{AppID: teams.AppID(), MetadataURL: teams.MetadataURL()})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]door, len(rows))
	questions := make([]any, len(rows))
	for i, r := range rows {
		claims := teams.Claims(service)
		if r.claims != nil {
			r.claims(claims)
		}
		var sign []func(*adaptertest.Signing)
		if r.sign != nil {
			sign = append(sign, r.sign)
		}
		authorization := "Bearer " + teams.Sign(claims, sign...)
		if r.header != nil {
			authorization = r.header(strings.TrimPrefix(authorization, "Bearer "))
		}
		a := map[string]any{
			"type": "message", "id": "1", "text": "hello", "channelId": "msteams", "serviceUrl": service,
			"from": map[string]any{"id": "29:1"}, "recipient": map[string]any{"id": teams.BotID()},
			"conversation": map[string]any{"id": "a:1", "tenantId": teams.TenantID()},
		}
		if r.activity != nil {
			r.activity(a)
		}
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var decoded adapter.Activity
		if err := json.Unmarshal(raw, &decoded); err != nil {
			t.Fatal(err)
		}
		got[i].Ours = verifier.Verify(t.Context(), authorization, &decoded) == nil
		questions[i] = map[string]any{"name": r.name, "authorization": authorization, "activity": a}
	}
	type answer struct {
		Name             string
		Connector, Teams bool
	}
	answers := node[answer](t, "tokens.mjs", []string{
		"APP_ID=" + teams.AppID(), "TENANT_ID=" + teams.TenantID(), "METADATA_URL=" + teams.MetadataURL(), "LOGIN_URL=" + teams.URL(),
	}, questions...)
	if len(answers) != len(rows) {
		t.Fatalf("%d answers to %d questions", len(answers), len(rows))
	}
	for i, r := range rows {
		got[i].Connector, got[i].Teams = answers[i].Connector, answers[i].Teams
		if got[i] != r.want {
			t.Errorf("%s: let in by %+v, want %+v", r.name, got[i], r.want)
		}
		if differ := r.want.Ours != r.want.Connector || r.want.Ours != r.want.Teams; differ != (r.why != "") {
			t.Errorf("%s: a difference and its explanation belong together", r.name)
		}
	}
}
