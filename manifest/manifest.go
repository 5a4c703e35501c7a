package manifest

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// A Developer is who answers for the app. All of it is shown to those who install it.
type Developer struct {
	// Name has at most 32 characters. Default "Snowbot".
	Name string
	// Website is an https URL. Default: Options.PublicURL.
	Website string
	// Privacy and Terms are https URLs. Default: Website.
	Privacy, Terms string
}

// A Command is a line of the menu that Teams offers beside the message box. Choosing it sends the title as a message.
type Command struct {
	Title       string `json:"title"`       // at most 32 characters
	Description string `json:"description"` // at most 128 characters
}

// Options say what the package is to hold. Only BotID, and a website or a PublicURL, have no default.
type Options struct {
	// BotID is the Microsoft app id with which the bot is registered, a GUID.
	BotID string
	// AppID is the id of the app in Teams, a GUID. An update of an app keeps it. Default: BotID.
	AppID string
	// Version of the package, three numbers. Teams takes an update only if it is higher. Default "1.0.0".
	Version string
	// ShortName has at most 30 characters, FullName 100. Defaults "Snowbot" and a longer one; FullName is ShortName if only
	// that is given.
	ShortName, FullName string
	// ShortDescription has at most 80 characters, Description 4,000. Both have defaults.
	ShortDescription, Description string
	// Developer is who answers for the app.
	Developer Developer
	// AccentColor is #rrggbb, and the ground of the drawn icon. Default "#0F5C7A".
	AccentColor string
	// Scopes are where the bot may be used: personal, team, groupChat. Default: all three.
	Scopes []string
	// Commands are the menu, the same in every scope; at most 10. Default: [DefaultCommands].
	Commands []Command
	// PublicURL is how Teams reaches the service. Its host becomes a valid domain, unless it is a loopback one.
	PublicURL string
	// Permissions are resource-specific ones, of type Application, such as ChannelMessage.Read.Group. Default: none. With that
	// one the bot gets every message of a channel, and not only those that mention it.
	Permissions []string
	// ColorIcon (192×192) and OutlineIcon (32×32, white on transparent) are PNG files that replace the drawn ones.
	ColorIcon, OutlineIcon []byte
}

// DefaultCommands are what the built-in bot understands, in English.
func DefaultCommands() []Command {
	return []Command{
		{"Talk to a person", "Ask for a live agent of the service desk"},
		{"Help", "What I can do for you"},
		{"Cancel", "Stop waiting for a live agent"},
		{"End chat", "End the chat with the live agent"},
	}
}

// An InvalidError says why a package was not built.
type InvalidError struct{ Faults []Fault }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return "the app package would not be valid:\n  " + strings.Join(lines, "\n  ")
}

// Build returns the package, a zip. It fails with an *[InvalidError] when [Validate] finds fault with what the options make.
func Build(o Options) ([]byte, error) {
	domain, err := publicDomain(o.PublicURL)
	if err != nil {
		return nil, &InvalidError{[]Fault{{Field: "/validDomains", Rule: ruleDomain, Message: err.Error()}}}
	}
	o = o.withDefaults()
	text, err := o.app(domain).encode()
	if err != nil {
		return nil, err
	}
	if o.ColorIcon == nil {
		if o.ColorIcon, err = drawColor(o.AccentColor); err != nil {
			return nil, err
		}
	}
	if o.OutlineIcon == nil {
		if o.OutlineIcon, err = drawOutline(); err != nil {
			return nil, err
		}
	}
	packed, err := pack([]file{{manifestName, text}, {colorName, o.ColorIcon}, {outlineName, o.OutlineIcon}})
	if err != nil {
		return nil, err
	}
	if faults := Validate(packed); len(faults) > 0 {
		return nil, &InvalidError{faults}
	}
	return packed, nil
}

const (
	defaultDescription = "Write your question, and the bot does its best to help. When you would rather talk to a person, say so: " +
		"the bot finds a live agent of your service desk and passes your messages on, here in Teams, until one of you ends the chat.\n\n" +
		"What you wrote to the bot before goes along, so that you need not say it twice. " +
		"If nobody is free, the bot offers to open a ticket."
	defaultAccent = "#0F5C7A"
)

func (o Options) withDefaults() Options {
	or := func(s *string, def string) {
		if *s = strings.TrimSpace(*s); *s == "" {
			*s = def
		}
	}
	o.BotID = strings.ToLower(strings.TrimSpace(o.BotID))
	o.AppID = strings.ToLower(o.AppID)
	or(&o.AppID, o.BotID)
	or(&o.Version, "1.0.0")
	if strings.TrimSpace(o.ShortName) == "" {
		or(&o.FullName, "Snowbot, the way to your service desk")
	}
	or(&o.ShortName, "Snowbot")
	or(&o.FullName, o.ShortName)
	or(&o.ShortDescription, "Get help, and chat with a live agent of your service desk.")
	or(&o.Description, defaultDescription)
	or(&o.Developer.Name, "Snowbot")
	or(&o.Developer.Website, o.PublicURL)
	or(&o.Developer.Privacy, o.Developer.Website)
	or(&o.Developer.Terms, o.Developer.Website)
	or(&o.AccentColor, defaultAccent)
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"personal", "team", "groupChat"}
	}
	if o.Commands == nil {
		o.Commands = DefaultCommands()
	}
	return o
}

// publicDomain returns the host of a public URL, with its port if it names one; "" when there is none that Teams could reach.
func publicDomain(raw string) (string, error) {
	if raw = strings.TrimSpace(raw); raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("the public URL is no URL")
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); host == "localhost" || err == nil && a.IsLoopback() {
		return "", nil
	}
	if u.Scheme != "https" {
		return "", fmt.Errorf("the public URL has to begin with https://")
	}
	return strings.ToLower(u.Host), nil
}
