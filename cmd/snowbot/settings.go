package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"snowbot/adapter"
	"snowbot/store"
)

// settings are the environment of the service. Each is also a flag, and each may come from a file
// whose path is in NAME_FILE.
type settings struct {
	ListenAddr      string `env:"LISTEN_ADDR" default:":3978" help:"Where Teams and ServiceNow reach the service."`
	AdminListenAddr string `env:"ADMIN_LISTEN_ADDR" default:"127.0.0.1:3979" help:"Where metrics, health and the admin API are served."`
	PublicURL       string `env:"PUBLIC_URL" name:"public-url" help:"How ServiceNow and Teams reach the service, such as https://snowbot.example.com. Files and self-checks are off without it."`

	AppID          string `env:"MICROSOFT_APP_ID" name:"microsoft-app-id" help:"The bot's Microsoft app id. **Required.**"`
	AppPassword    string `env:"MICROSOFT_APP_PASSWORD" name:"microsoft-app-password" help:"The client secret. **Required**, unless another credential is given."`
	AppType        string `env:"MICROSOFT_APP_TYPE" name:"microsoft-app-type" default:"SingleTenant" help:"SingleTenant, MultiTenant or UserAssignedMSI."`
	AppTenantID    string `env:"MICROSOFT_APP_TENANT_ID" name:"microsoft-app-tenant-id" help:"The tenant in which the bot is registered. **Required** unless MultiTenant."`
	AppCertificate string `env:"MICROSOFT_APP_CERTIFICATE" name:"microsoft-app-certificate" help:"Certificate and RSA key, as PEM, instead of the client secret."`
	FederatedFile  string `env:"MICROSOFT_APP_FEDERATED_TOKEN_FILE" name:"microsoft-app-federated-token-file" help:"Path of a token file (workload identity), instead of the client secret."`
	OpenIDMetadata string `env:"BOT_OPENID_METADATA" name:"bot-openid-metadata" help:"OpenID metadata of the Bot Connector; the cloud's by default. A loopback address also allows loopback service URLs."`
	TokenURL       string `env:"BOT_TOKEN_URL" name:"bot-token-url" help:"The whole token endpoint; by default it follows from type, tenant and cloud."`
	AllowedTenants string `env:"ALLOWED_TENANTS" help:"Tenants whose employees may use the bot, comma-separated, or * for any. The app's own tenant by default."`
	Cloud          string `env:"BOT_CLOUD" name:"bot-cloud" default:"public" help:"public, usgov, dod or china."`

	Instance      string `env:"SERVICENOW_INSTANCE" name:"servicenow-instance" help:"The instance, such as https://example.service-now.com. **Required.**"`
	ClientID      string `env:"SERVICENOW_CLIENT_ID" name:"servicenow-client-id" help:"OAuth client id. **Required.**"`
	ClientSecret  string `env:"SERVICENOW_CLIENT_SECRET" name:"servicenow-client-secret" help:"OAuth client secret. **Required.**"`
	Username      string `env:"SERVICENOW_USERNAME" name:"servicenow-username" help:"The integration user. **Required** with the password grant."`
	Password      string `env:"SERVICENOW_PASSWORD" name:"servicenow-password" help:"Its password. **Required** with the password grant."`
	Grant         string `env:"SERVICENOW_GRANT" name:"servicenow-grant" default:"password" help:"password or client_credentials."`
	MessageToken  string `env:"SERVICENOW_MESSAGE_TOKEN" name:"servicenow-message-token" help:"Static token of Message Auth, without which agents see guests."`
	HashSecret    string `env:"SERVICENOW_MESSAGE_HASH_SECRET" name:"servicenow-message-hash-secret" help:"Secret of Message Auth by signature, instead of the token."`
	AppInboundID  string `env:"SERVICENOW_APP_INBOUND_ID" name:"servicenow-app-inbound-id" help:"Provider application, if several bots share the instance."`
	WebhookSecret string `env:"WEBHOOK_SECRET" help:"What ServiceNow sends as bearer token, at least 20 random characters. A comma-separated list accepts several while rotating. **Required.**"`
	WebhookUser   string `env:"WEBHOOK_BASIC_USER" name:"webhook-basic-user" help:"Also accept HTTP Basic with this user and the same secrets."`
	WebhookHeader string `env:"WEBHOOK_HEADER" help:"Also accept this header with the same secrets."`

	DatabaseURL databaseURL `env:"DATABASE_URL" name:"database-url" default:"bbolt:snowbot.db" help:"Where conversations are kept: bbolt: and a path, for one process, or postgres://user:password@host/database, for several."`
	DataKey     string      `env:"DATA_ENCRYPTION_KEY" name:"data-encryption-key" help:"Base64 of 32 bytes; see snowbot keygen. A comma-separated list: the first seals, all open. **Required.**"`
	AdminToken  string      `env:"ADMIN_TOKEN" help:"The token of the admin API, which is off without it. At least 20 random characters."`

	TeamsPacing   string `env:"TEAMS_PACING" default:"on" help:"on, or off: no rate windows and no merging of waiting messages; Retry-After is honoured all the same."`
	UnclearSends  string `env:"UNCLEAR_SENDS" default:"retry" help:"retry, or never-repeat: an agent's message whose fate in Teams is unclear is reported as failed rather than shown twice."`
	DeliveryTicks string `env:"DELIVERY_TICKS" default:"auto" help:"Delivery reports for the agent: on, off, or auto (on until the instance says that it is not enabled)."`
	ConfigFile    string `env:"SNOWBOT_CONFIG" name:"config" help:"YAML file with texts, phrases, topics and limits."`
}

// A settingsError names everything that is wrong with the settings, and no value of a secret.
type settingsError struct{ problems []string }

func (e *settingsError) Error() string {
	return "the settings cannot be used:\n  - " + strings.Join(e.problems, "\n  - ")
}

// joinProblems makes one *settingsError of all errors, or nil when there is none.
func joinProblems(errs ...error) error {
	var all settingsError
	for _, err := range errs {
		if e := (*settingsError)(nil); errors.As(err, &e) {
			all.problems = append(all.problems, e.problems...)
		} else if err != nil {
			all.problems = append(all.problems, err.Error())
		}
	}
	if len(all.problems) == 0 {
		return nil
	}
	return &all
}

// check returns a *settingsError that names all problems, or nil.
func (s *settings) check() error {
	var e settingsError
	add := func(format string, args ...any) { e.problems = append(e.problems, fmt.Sprintf(format, args...)) }
	need := func(name, value string) {
		if strings.TrimSpace(value) == "" {
			add("%s is missing", name)
		}
	}
	oneOf := func(name, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			add("%s has to be one of %s", name, strings.Join(allowed, ", "))
		}
	}
	for name, addr := range map[string]string{"LISTEN_ADDR": s.ListenAddr, "ADMIN_LISTEN_ADDR": s.AdminListenAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil { // empty would be any port of any interface
			add("%s has to be an address and a port, such as 127.0.0.1:3978, or :3978 for any address", name)
		}
	}
	need("MICROSOFT_APP_ID", s.AppID)
	if s.AppID != "" && !isUUID(s.AppID) && !isLoopbackURL(s.OpenIDMetadata) { // an emulator's may be any
		add("MICROSOFT_APP_ID has to be an id such as 01234567-89ab-cdef-0123-456789abcdef")
	}
	oneOf("MICROSOFT_APP_TYPE", s.AppType, "SingleTenant", "MultiTenant", "UserAssignedMSI")
	if s.AppType != "UserAssignedMSI" && s.AppCertificate == "" && s.FederatedFile == "" {
		need("MICROSOFT_APP_PASSWORD", s.AppPassword)
	}
	if s.AppType != "MultiTenant" {
		need("MICROSOFT_APP_TENANT_ID", s.AppTenantID)
	} else if s.AllowedTenants == "" && s.AppTenantID == "" {
		add("ALLOWED_TENANTS is missing: with MICROSOFT_APP_TYPE=MultiTenant say which tenants may use the bot, or *")
	}
	if s.AllowedTenants != "" && len(list(s.AllowedTenants)) == 0 {
		add("ALLOWED_TENANTS names no tenant")
	}
	if _, err := adapter.CloudByName(s.Cloud); err != nil {
		oneOf("BOT_CLOUD", s.Cloud, "public", "usgov", "dod", "china")
	}
	for name, value := range map[string]string{
		"BOT_OPENID_METADATA": s.OpenIDMetadata, "BOT_TOKEN_URL": s.TokenURL, "PUBLIC_URL": s.PublicURL, "SERVICENOW_INSTANCE": s.Instance,
	} {
		if value != "" {
			if err := checkURL(value); err != nil {
				add("%s %v", name, err)
			}
		}
	}
	need("SERVICENOW_INSTANCE", s.Instance)
	need("SERVICENOW_CLIENT_ID", s.ClientID)
	need("SERVICENOW_CLIENT_SECRET", s.ClientSecret)
	oneOf("SERVICENOW_GRANT", s.Grant, "password", "client_credentials")
	if s.Grant == "password" {
		need("SERVICENOW_USERNAME", s.Username)
		need("SERVICENOW_PASSWORD", s.Password)
	}
	need("WEBHOOK_SECRET", s.WebhookSecret)
	if s.WebhookSecret != "" && len(list(s.WebhookSecret)) == 0 {
		add("WEBHOOK_SECRET holds no secret")
	}
	if s.DataKey == "" {
		add("DATA_ENCRYPTION_KEY is missing: make one with `snowbot keygen` and keep it safe")
	} else if _, err := store.ParseKeyring(s.DataKey); err != nil {
		add("DATA_ENCRYPTION_KEY: %v", err)
	}
	if err := s.DatabaseURL.check(); err != nil {
		add("DATABASE_URL %v", err)
	}
	oneOf("UNCLEAR_SENDS", s.UnclearSends, "retry", "never-repeat")
	oneOf("TEAMS_PACING", s.TeamsPacing, "on", "off")
	oneOf("DELIVERY_TICKS", s.DeliveryTicks, "auto", "on", "off")
	if len(e.problems) == 0 {
		return nil
	}
	slices.Sort(e.problems)
	return &e
}

// isUUID reports whether text is a UUID as it is usually written.
func isUUID(text string) bool { return len(text) == 36 && uuid.Validate(text) == nil }

// tenants are those whose employees may use the bot.
func (s *settings) tenants() []string {
	if t := list(s.AllowedTenants); len(t) > 0 {
		return t
	}
	return []string{s.AppTenantID}
}

// checkURL accepts https, and http on loopback only.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is no URL")
	case u.User != nil:
		return errors.New("must not hold credentials")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("has to begin with https:// (http:// is accepted for loopback addresses only)")
	}
}

// list splits a comma-separated value.
func list(value string) []string {
	var out []string
	for v := range strings.SplitSeq(value, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// secretFiles reads NAME_FILE for every flag with an environment variable NAME.
type secretFiles struct{}

// Validate implements kong.Resolver: both of NAME and NAME_FILE is a contradiction.
func (secretFiles) Validate(app *kong.Application) error {
	var err error
	for _, name := range environment() {
		if os.Getenv(name) != "" && os.Getenv(name+"_FILE") != "" {
			err = errors.Join(err, fmt.Errorf("both %s and %s_FILE are set; keep one", name, name))
		}
	}
	return err
}

// Resolve implements kong.Resolver.
func (secretFiles) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		path := os.Getenv(name + "_FILE")
		if path == "" {
			continue
		}
		raw, err := os.ReadFile(path) // the admin names the file
		if err != nil {
			return nil, fmt.Errorf("%s_FILE cannot be read: %w", name, err)
		}
		return strings.TrimRight(string(raw), "\r\n"), nil
	}
	return nil, nil //nolint:nilnil // kong's way to say that there is no value
}

// environment names every variable.
func environment() []string {
	var names []string
	t := reflect.TypeFor[settings]()
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("env"); name != "" {
			names = append(names, name)
		}
	}
	return names
}
