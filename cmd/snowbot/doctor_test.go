package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

const strongSecret = "Zk4-rT9_wQ2x-Vb7n-Lm5p-Hd8s"

// doctor runs the command and returns what it says of each check.
func (r *rig) doctor(env ...string) (findings map[string]finding, code int) {
	r.t.Helper()
	env = append([]string{"WEBHOOK_SECRET=" + strongSecret, "PUBLIC_URL=http://" + r.addr, "LISTEN_ADDR=" + r.addr}, env...)
	stdout, stderr, code := r.command(env, "doctor", "--json")
	findings = map[string]finding{}
	for line := range strings.Lines(stdout) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			r.t.Fatalf("%q: %v\n%s", line, err, stderr)
		}
		findings[f.Check] = f
	}
	_, _, _, password := r.snow.Credentials()
	for _, secret := range []string{strongSecret, r.teams.AppPassword(), password, rigToken, complete()["DATA_ENCRYPTION_KEY"], "wrong-secret"} {
		if strings.Contains(stdout+stderr, secret) {
			r.t.Errorf("a secret is printed:\n%s%s", stdout, stderr)
		}
	}
	return findings, code
}

func TestServiceDoctor(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	all := []string{"settings", "webhook secret", "database", "encryption key", "microsoft metadata", "bot token", "servicenow", "public url"}

	found, code := r.doctor()
	for _, name := range all {
		if want := map[bool]string{true: findingSkipped, false: findingOK}[name == "encryption key"]; found[name].Result != want {
			t.Errorf("beside the service: %s is %+v, want %s", name, found[name], want)
		}
	}
	if code != 0 || found["admin token"].Result != findingSkipped || !strings.Contains(found["database"].Detail, "in use") {
		t.Errorf("beside the service: exit %d, %+v", code, found)
	}

	r.kill()
	found, code = r.doctor()
	for _, name := range all {
		if found[name].Result != findingOK {
			t.Errorf("without the service: %s is %+v, want ok", name, found[name])
		}
	}
	if code != 0 {
		t.Errorf("without the service: exit %d", code)
	}
	if table, _, _ := r.command([]string{"WEBHOOK_SECRET=" + strongSecret}, "doctor"); !strings.Contains(table, "ok") || !strings.Contains(table, "microsoft metadata") {
		t.Errorf("the table is\n%s", table)
	}

	for _, tt := range []struct {
		name, env, check, detail, next string
	}{
		{"a setting is missing", "MICROSOFT_APP_ID=", "settings", "MICROSOFT_APP_ID is missing", "set what is missing"},
		{"the wrong app password", "MICROSOFT_APP_PASSWORD=wrong-secret", "bot token", "AADSTS", "MICROSOFT_APP"},
		{"the wrong ServiceNow password", "SERVICENOW_PASSWORD=wrong-secret", "servicenow", "credentials rejected", "SERVICENOW_PASSWORD"},
		{"no such instance", "SERVICENOW_INSTANCE=http://127.0.0.1:1", "servicenow", "refused", "SERVICENOW_INSTANCE"},
		{"no metadata", "BOT_OPENID_METADATA=http://127.0.0.1:1/x", "microsoft metadata", "refused", "outgoing HTTPS"},
		{"another key", "DATA_ENCRYPTION_KEY=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=", "encryption key", "key that was not given", "DATA_ENCRYPTION_KEY"},
		{"a short webhook secret", "WEBHOOK_SECRET=short", "webhook secret", "fewer than", "keygen"},
		{"no directory", "DATABASE_URL=bbolt:/nowhere/at/all/x.db", "database", "cannot be made", "make the directory"},
		{"another machine", "PUBLIC_URL=http://127.0.0.1:1", "public url", "refused", "LISTEN_ADDR"},
		{"something else", "PUBLIC_URL=" + r.snow.URL(), "public url", "", "LISTEN_ADDR"},
		{"no configuration file", "SNOWBOT_CONFIG=/nowhere/at/all.yaml", "configuration file", "no such file", "SNOWBOT_CONFIG"},
	} {
		found, code := r.doctor(tt.env)
		f := found[tt.check]
		if code != 1 || f.Result != findingFailed || !strings.Contains(f.Detail, tt.detail) || !strings.Contains(f.Next, tt.next) {
			t.Errorf("%s: exit %d, %s is %+v", tt.name, code, tt.check, f)
		}
	}
}

func TestServiceDoctorAsksForWhatGapRepairReads(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	file := filepath.Join(t.TempDir(), "snowbot.yaml")
	if err := os.WriteFile(file, []byte("gapRepair: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, code := r.doctor("SNOWBOT_CONFIG=" + file); code != 0 || found["gap repair"].Result != findingOK {
		t.Errorf("exit %d, %+v", code, found["gap repair"])
	}
	if _, err := r.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusForbidden, PathContains: "/table/sys_cs_conversation"}); err != nil {
		t.Fatal(err)
	}
	found, code := r.doctor("SNOWBOT_CONFIG=" + file)
	if f := found["gap repair"]; code != 1 || f.Result != findingFailed || !strings.Contains(f.Next, "sys_cs_message") {
		t.Errorf("hidden: exit %d, %+v", code, f)
	}
}

func TestWeakness(t *testing.T) {
	t.Parallel()
	for secret, weak := range map[string]bool{
		strongSecret: false, complete()["DATA_ENCRYPTION_KEY"]: false, "0f8a3c5d7e9b1a2c4d6e8f0a": false,
		"short": true, strings.Repeat("ab", 20): true, "MyVeryLongPassword-2026-for-ServiceNow": true, "changeme-changeme-changeme": true,
	} {
		if got := weakness(secret); (got != "") != weak {
			t.Errorf("weakness(%q) = %q, want weak %v", secret, got, weak)
		}
	}
}
