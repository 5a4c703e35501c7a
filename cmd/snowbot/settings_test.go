package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/bot"

	"github.com/alecthomas/kong"
)

// complete is an environment with which the service starts.
func complete() map[string]string {
	return map[string]string{
		"MICROSOFT_APP_ID": "01234567-89ab-cdef-0123-456789abcdef", "MICROSOFT_APP_PASSWORD": "app-secret-value", "MICROSOFT_APP_TENANT_ID": "tenant",
		"SERVICENOW_INSTANCE": "https://example.service-now.com", "SERVICENOW_CLIENT_ID": "client",
		"SERVICENOW_CLIENT_SECRET": "client-secret-value", "SERVICENOW_USERNAME": "user", "SERVICENOW_PASSWORD": "password-value",
		"WEBHOOK_SECRET": "webhook-secret-value", "DATA_ENCRYPTION_KEY": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
	}
}

// parse reads the environment as the binary does.
func parse(t *testing.T, env map[string]string) (*settings, error) {
	t.Helper()
	for _, name := range environment() {
		t.Setenv(name, env[name])
		t.Setenv(name+"_FILE", env[name+"_FILE"])
		if env[name] == "" {
			os.Unsetenv(name)
		}
	}
	var c struct {
		Serve serveCommand `cmd:""`
	}
	k, err := kong.New(&c, kong.Resolvers(secretFiles{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"serve"}); err != nil {
		return nil, err
	}
	return &c.Serve.settings, c.Serve.check()
}

func TestSettingsNameEveryProblemAtOnce(t *testing.T) {
	_, err := parse(t, map[string]string{
		"SERVICENOW_INSTANCE": "http://example.service-now.com", "BOT_CLOUD": "mars", "DATA_ENCRYPTION_KEY": "c2hvcnQ=",
	})
	var se *settingsError
	if !errors.As(err, &se) {
		t.Fatalf("err = %v, want a settingsError", err)
	}
	for _, name := range []string{
		"MICROSOFT_APP_ID", "MICROSOFT_APP_PASSWORD", "MICROSOFT_APP_TENANT_ID", "SERVICENOW_INSTANCE", "SERVICENOW_CLIENT_ID",
		"SERVICENOW_CLIENT_SECRET", "SERVICENOW_USERNAME", "SERVICENOW_PASSWORD", "WEBHOOK_SECRET", "DATA_ENCRYPTION_KEY", "BOT_CLOUD",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the message does not name %s:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "c2hvcnQ=") {
		t.Error("the message holds a secret")
	}
}

func TestAStartNamesTheConfigurationFileBesideTheSettings(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	err := serve(t.Context(), &settings{ConfigFile: missing}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "MICROSOFT_APP_ID is missing") {
		t.Errorf("err = %v, want it to name both", err)
	}
}

func TestAConfigurationFileThatContradictsItselfIsRefusedWithTheSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "snowbot.yaml")
	if err := os.WriteFile(file, []byte("limits: {idleCancel: 3m}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := serve(t.Context(), &settings{ConfigFile: file}, io.Discard)
	if want := "idleWarning (4m0s) has to be shorter than idleCancel (3m0s)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("err = %v, want %q", err, want)
	}
	if f := checkSettings(t.Context(), &settings{ConfigFile: file}); f[1].Result != findingFailed {
		t.Errorf("doctor says %+v", f[1])
	}
}

func TestSettingsFromFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := complete()
	delete(env, "WEBHOOK_SECRET")
	env["WEBHOOK_SECRET_FILE"] = path
	s, err := parse(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if s.WebhookSecret != "from-the-file" {
		t.Errorf("WEBHOOK_SECRET = %q, want the file's line", s.WebhookSecret)
	}
	env["WEBHOOK_SECRET"] = "also here"
	if _, err := parse(t, env); err == nil || !strings.Contains(err.Error(), "WEBHOOK_SECRET_FILE") {
		t.Errorf("err = %v, want a refusal of both", err)
	}
}

func TestSettingsTable(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  map[string]string
		want string // in the error; "" for none
	}{
		{"complete", nil, ""},
		{"client credentials need no user", map[string]string{"SERVICENOW_GRANT": "client_credentials", "SERVICENOW_USERNAME": "", "SERVICENOW_PASSWORD": ""}, ""},
		{"managed identity needs no password", map[string]string{"MICROSOFT_APP_TYPE": "UserAssignedMSI", "MICROSOFT_APP_PASSWORD": ""}, ""},
		{"plain http on loopback", map[string]string{"SERVICENOW_INSTANCE": "http://127.0.0.1:8080"}, ""},
		{"plain http on localhost", map[string]string{"BOT_OPENID_METADATA": "http://localhost:1/x"}, ""},
		{"plain http elsewhere", map[string]string{"PUBLIC_URL": "http://snowbot.example.com"}, "PUBLIC_URL has to begin with https://"},
		{"credentials in a URL", map[string]string{"SERVICENOW_INSTANCE": "https://a:b@example.com"}, "must not hold credentials"},
		{"relative path of the database", map[string]string{"DATABASE_URL": "bbolt:x.db"}, ""},
		{"another database", map[string]string{"DATABASE_URL": "mysql://x"}, "DATABASE_URL has to be"},
		{"unknown type", map[string]string{"MICROSOFT_APP_TYPE": "Many"}, "MICROSOFT_APP_TYPE"},
		{"many tenants without a list", map[string]string{"MICROSOFT_APP_TYPE": "MultiTenant", "MICROSOFT_APP_TENANT_ID": ""}, "ALLOWED_TENANTS"},
		{"an app id that is none", map[string]string{"MICROSOFT_APP_ID": "abc"}, "MICROSOFT_APP_ID has to be"},
		{"an emulator's may be any", map[string]string{"MICROSOFT_APP_ID": "abc", "BOT_OPENID_METADATA": "http://127.0.0.1:1/x"}, ""},
		{"a list of no tenants", map[string]string{"ALLOWED_TENANTS": ","}, "ALLOWED_TENANTS names no tenant"},
		{"unknown policy", map[string]string{"UNCLEAR_SENDS": "maybe"}, "UNCLEAR_SENDS"},
		{"no address to listen at", map[string]string{"LISTEN_ADDR": " "}, "LISTEN_ADDR has to be"},
		{"an address without a port", map[string]string{"ADMIN_LISTEN_ADDR": "localhost"}, "ADMIN_LISTEN_ADDR has to be"},
		{"a list of nothing", map[string]string{"WEBHOOK_SECRET": " , "}, "WEBHOOK_SECRET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := complete()
			for k, v := range tt.set {
				env[k] = v
			}
			_, err := parse(t, env)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("err = %v, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestConfigRefusesUnknownKeys(t *testing.T) {
	t.Parallel()
	if _, err := parseConfig([]byte("limits:\n  maxWate: 5m\n")); err == nil || !strings.Contains(err.Error(), "maxWate") {
		t.Errorf("err = %v, want it to name the key", err)
	}
	for _, tt := range []struct{ file, want string }{
		{"limits:\n  maxWait: soon\n", "line 2: a duration, such as 90s, 30m or 8h is wanted here, not `soon`"},
		{"phrases: front desk\n", "line 1: a list, such as [one, two] is wanted here, not `front desk`"},
		{"gapRepair: maybe\nlimits: {tenantRate: many}\n", "line 2: a number is wanted here, not `many`"},
		{"topics: {a: b}\n", "line 1: a list is wanted here"},
		{"keep: 4\nnosuch: 5\n", "line 2: there is no key nosuch here"},
	} {
		_, err := parseConfig([]byte(tt.file))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "struct") {
			t.Errorf("%q: err = %v, want %q and no types of Go", tt.file, err, tt.want)
		}
	}
	c, err := parseConfig([]byte("gapRepair: true\ngapRepairEvery: 10m\nlimits:\n  maxWait: 5m\nphrases: [front desk]\ntopics:\n  - name: payroll\n    phrases: [payslip]\n    context: {LiveAgent_mandatory_skills: payroll}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := c.rules(&settings{}); r.MaxWait.Minutes() != 5 || len(r.Topics) != 1 || !r.GapRepair || r.GapEvery.Minutes() != 10 {
		t.Errorf("rules = %+v", r)
	}
}

// FuzzConfig reads any file of settings: what is refused is refused with a reason, and what is taken makes sentences and rules that can be used.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"limits:\n  maxWait: 5m\n", "texts: {de: {greeting: Hallo}}", "a: &a [*a]", "", "---\n---\n", "limits: {maxWait: 1e400s}", "phrases: [\"\", \"\\0\", &x y, *x]",
		"topics:\n - {name: n, phrases: [p], context: {k: v}}\n", "texts: {en: {noticeJoined: \"{name} {name} {\"}}", "\xff\xfe", "context: {a: !!binary AA==}",
		"x: &a [1,1,1]\ny: &b [*a,*a,*a]\nz: &c [*b,*b,*b]\n", "keep: {transcript: -1h}", "limits: 5", "limits: {maxWait: 5m, maxWait: 6m}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig(raw)
		if err != nil {
			return
		}
		catalogue, err := bot.NewCatalogue(c.Texts)
		if err != nil {
			return
		}
		for _, code := range bot.TextLanguages() {
			for _, key := range bot.TextKeys() {
				if catalogue.For(code).Say(bot.TextKey(key), "a {name}", "b") == "" {
					t.Errorf("%q in %s says nothing", key, code)
				}
			}
		}
		_ = c.rules(&settings{})
	})
}
