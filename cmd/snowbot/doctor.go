package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

// doctorCommand checks that the service could do its work with these settings, and says what to do where it could not.
type doctorCommand struct {
	settings
	JSON bool `name:"json" help:"One JSON object for each check."`
}

// doctorLimit is how long one check may take.
const doctorLimit = 10 * time.Second

// What a check can come to. Programs read them, so they do not change.
const (
	findingOK      = "ok"
	findingFailed  = "failed"
	findingSkipped = "skipped" // it could not be made, or there is nothing to check
)

// A finding is what came of one check. It holds no secret.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"` // what to do about it
}

func ok(detail string) finding { return finding{Result: findingOK, Detail: detail} }
func failed(detail, next string) finding {
	return finding{Result: findingFailed, Detail: detail, Next: next}
}
func skipped(detail string) finding { return finding{Result: findingSkipped, Detail: detail} }

// A check looks at one thing, within the context's time.
type check struct {
	name string
	run  func(ctx context.Context, s *settings) []finding // one is named after the check
}

// Run makes all checks.
func (c *doctorCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	findings := diagnose(ctx, &c.settings)
	if c.JSON {
		if err := printLines(findings); err != nil {
			return err
		}
	} else if err := printFindings(os.Stdout, findings); err != nil {
		return err
	}
	bad := 0
	for _, f := range findings {
		if f.Result == findingFailed {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed", bad, len(findings))
	}
	return nil
}

// diagnose makes all checks at once, since most of them wait for somebody, and returns what they found in order.
func diagnose(ctx context.Context, s *settings) []finding {
	checks := []check{
		{"settings", checkSettings},
		{"secrets", checkSecrets},
		{"database", checkDatabase},
		{"microsoft metadata", checkMetadata},
		{"bot token", checkBotToken},
		{"servicenow", checkServiceNow},
		{"public url", checkPublicURL},
		{"files", checkFiles},
	}
	found := make([][]finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			limited, cancel := context.WithTimeout(ctx, doctorLimit)
			defer cancel()
			found[i] = c.run(limited, s)
		})
	}
	wg.Wait()
	var all []finding
	for i, c := range checks {
		for _, f := range found[i] {
			if f.Check == "" {
				f.Check = c.name
			}
			all = append(all, f)
		}
	}
	return all
}

func printFindings(out io.Writer, findings []finding) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		for i, line := range strings.Split(f.Detail, "\n") {
			if i == 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\n", f.Result, f.Check, printable(strings.TrimSpace(line)))
			} else {
				fmt.Fprintf(w, "\t\t%s\n", printable(strings.TrimSpace(line)))
			}
		}
		if f.Next != "" {
			fmt.Fprintf(w, "\t\t-> %s\n", f.Next)
		}
	}
	return w.Flush()
}

// checkSettings looks at what can be seen without asking anybody.
func checkSettings(_ context.Context, s *settings) []finding {
	var out []finding
	var se *settingsError
	switch err := s.check(); {
	case errors.As(err, &se):
		out = append(out, failed(strings.Join(se.problems, "\n"), "set what is missing and correct what is wrong; README.md lists all settings"))
	case err != nil:
		out = append(out, failed(err.Error(), "correct it"))
	default:
		out = append(out, ok("complete"))
	}
	if s.ConfigFile == "" {
		return out
	}
	f := ok("can be read")
	if _, err := readConfig(s.ConfigFile); err != nil {
		f = failed(err.Error(), "correct the file that SNOWBOT_CONFIG names")
	}
	f.Check = "configuration file"
	return append(out, f)
}

// A secret is weak if it is shorter than this, or made of fewer different characters.
const (
	secretLength   = 20
	secretAlphabet = 10
)

// checkSecrets looks at the secrets that the admin made up.
func checkSecrets(_ context.Context, s *settings) []finding {
	one := func(name, user string, secrets []string) finding {
		f := ok("strong enough")
		for i, secret := range secrets {
			if why := weakness(secret); why != "" {
				f = failed(fmt.Sprintf("secret %d of %d %s", i+1, len(secrets), why), "make a random one, for instance with `snowbot keygen`, and set it here and in "+user)
				break
			}
		}
		if len(secrets) == 0 {
			f = skipped("not set")
		}
		f.Check = name
		return f
	}
	var token []string
	if s.AdminToken != "" {
		token = []string{s.AdminToken}
	}
	return []finding{one("webhook secret", "ServiceNow", list(s.WebhookSecret)), one("admin token", "whatever uses the admin API", token)}
}

// weakness says why a secret could be guessed; "" when it could not.
func weakness(secret string) string {
	different := map[rune]bool{}
	for _, r := range secret {
		different[r] = true
	}
	lower := strings.ToLower(secret)
	switch {
	case len(secret) < secretLength:
		return fmt.Sprintf("has fewer than %d characters", secretLength)
	case len(different) < secretAlphabet:
		return fmt.Sprintf("has fewer than %d different characters", secretAlphabet)
	}
	for _, word := range []string{"password", "changeme", "change-me", "example", "12345678", "qwerty"} {
		if strings.Contains(lower, word) {
			return "holds a word that everybody tries first"
		}
	}
	return ""
}
