package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
)

const fixSettings = "needs settings that are missing or wrong; see settings"

// checkMetadata fetches the keys with which Microsoft signs, as the service does.
func checkMetadata(ctx context.Context, s *settings) []finding {
	cloud, err := adapter.CloudByName(s.Cloud)
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	metadata := s.metadata(cloud)
	last := &lastError{}
	v, err := adapter.NewVerifier(adapter.VerifierOptions{AppID: s.AppID, MetadataURL: metadata, Issuer: cloud.Issuer, Log: slog.New(last)})
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = v.Run(running) // until stop
	}()
	defer func() { stop(); <-ended }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		switch why := last.text(); {
		case v.Ready():
			return []finding{ok("signing keys loaded from " + metadata)}
		case why != "":
			return []finding{failed(why, "allow outgoing HTTPS to "+metadata+" and the key set it names, or check BOT_CLOUD and BOT_OPENID_METADATA")}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return []finding{failed("no answer from "+metadata, "allow outgoing HTTPS to it")}
		}
	}
}

// A lastError is a log handler that keeps the error of the last line that had one.
type lastError struct {
	mu  sync.Mutex
	err string
}

func (l *lastError) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Enabled implements slog.Handler.
func (l *lastError) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *lastError) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			l.mu.Lock()
			l.err = a.Value.String()
			l.mu.Unlock()
		}
		return true
	})
	return nil
}

// WithAttrs implements slog.Handler.
func (l *lastError) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *lastError) WithGroup(string) slog.Handler { return l }

// checkBotToken signs in as the bot.
func checkBotToken(ctx context.Context, s *settings) []finding {
	cloud, err := adapter.CloudByName(s.Cloud)
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	tokens, err := adapter.NewTokenSource(s.credentials(cloud, slog.New(slog.DiscardHandler)))
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	if _, err := tokens.Token(ctx); err != nil {
		return []finding{failed(err.Error(), tokenAdvice(err))}
	}
	return []finding{ok("Microsoft gives the bot a token")}
}

// tokenAdvice says what to do about a token that was not given (Microsoft identity platform, error codes).
func tokenAdvice(err error) string {
	var ae *adapter.Error
	if !errors.As(err, &ae) || ae.StatusCode == 0 {
		return "allow outgoing HTTPS to Microsoft's token endpoint, or check BOT_TOKEN_URL"
	}
	switch ae.Code {
	case "7000215":
		return "MICROSOFT_APP_PASSWORD is not a secret of this app; take the secret's value, not its id"
	case "7000222":
		return "the secret has expired; make a new one and set MICROSOFT_APP_PASSWORD"
	case "700016":
		return "this tenant has no app of that id; check MICROSOFT_APP_ID, MICROSOFT_APP_TENANT_ID and MICROSOFT_APP_TYPE"
	case "90002", "900023":
		return "there is no such tenant; check MICROSOFT_APP_TENANT_ID"
	default:
		return "check MICROSOFT_APP_ID, its credential, MICROSOFT_APP_TYPE and MICROSOFT_APP_TENANT_ID"
	}
}

// checkServiceNow signs in at the instance and reads a row.
func checkServiceNow(ctx context.Context, s *settings) []finding {
	client, err := snow.NewClient(snow.ClientOptions{
		Instance: s.Instance, Grant: s.Grant, ClientID: s.ClientID, ClientSecret: s.ClientSecret,
		Username: s.Username, Password: s.Password,
	})
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return []finding{failed(err.Error(), snowAdvice(err))}
	}
	found := []finding{ok("login works, and the instance answers")}
	if conf, err := readConfig(s.ConfigFile); err == nil && conf.GapRepair {
		f := ok("sys_cs_conversation can be asked for") // whether its rows are visible shows only with a chat
		if _, err := client.ReadBack(ctx, "snowbot-doctor", time.Now()); err != nil {
			f = failed(err.Error(), "let the integration user read sys_cs_conversation and sys_cs_message, or take gapRepair out of the configuration file")
		}
		f.Check = "gap repair"
		found = append(found, f)
	}
	return found
}

func snowAdvice(err error) string {
	var se *snow.Error
	switch {
	case errors.Is(err, snow.ErrCredentials):
		return "check SERVICENOW_CLIENT_ID, SERVICENOW_CLIENT_SECRET, SERVICENOW_USERNAME and SERVICENOW_PASSWORD, " +
			"that the user is neither locked nor has to change the password, and that SERVICENOW_GRANT is allowed on the instance"
	case !errors.As(err, &se) || se.StatusCode == 0:
		return "check SERVICENOW_INSTANCE, and allow outgoing HTTPS to it"
	case se.NotJSON:
		return "the instance answers with a page: wake it up if it hibernates, and check SERVICENOW_INSTANCE"
	case se.StatusCode == http.StatusForbidden:
		return "give the integration user the roles that the instance asks for"
	case se.StatusCode == http.StatusTooManyRequests:
		return "the instance limits our rate; look at its rate limit rules"
	default:
		return "look at the instance's log and at its status page"
	}
}

// plainError is an error of an HTTP client without the address, which is named anyway.
func plainError(err error) string {
	s := err.Error()
	if _, after, found := strings.Cut(s, `": `); found && strings.HasPrefix(s, "Get ") {
		return after
	}
	return s
}
