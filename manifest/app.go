package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The version of the manifest that is written; see the package comment.
const (
	writtenVersion = "1.19"
	schemaFormat   = "https://developer.microsoft.com/en-us/json-schemas/teams/v%s/MicrosoftTeams.schema.json"
)

// The files of a package, all at its root.
const (
	manifestName = "manifest.json"
	colorName    = "color.png"
	outlineName  = "outline.png"
)

// app is manifest.json, in the order in which it is written.
type app struct {
	Schema          string         `json:"$schema"`
	ManifestVersion string         `json:"manifestVersion"`
	Version         string         `json:"version"`
	ID              string         `json:"id"`
	Developer       appDeveloper   `json:"developer"`
	Name            appText        `json:"name"`
	Description     appText        `json:"description"`
	Icons           appIcons       `json:"icons"`
	AccentColor     string         `json:"accentColor"`
	DefaultScope    string         `json:"defaultInstallScope,omitempty"`
	Bots            []appBot       `json:"bots"`
	ValidDomains    []string       `json:"validDomains,omitempty"`
	WebApplication  *appRegistered `json:"webApplicationInfo,omitempty"`
	Authorization   *appConsent    `json:"authorization,omitempty"`
}

type appDeveloper struct {
	Name    string `json:"name"`
	Website string `json:"websiteUrl"`
	Privacy string `json:"privacyUrl"`
	Terms   string `json:"termsOfUseUrl"`
}

type appText struct {
	Short string `json:"short"`
	Full  string `json:"full"`
}

type appIcons struct {
	Outline string `json:"outline"`
	Color   string `json:"color"`
}

type appBot struct {
	ID           string           `json:"botId"`
	Scopes       []string         `json:"scopes"`
	Files        bool             `json:"supportsFiles"`
	OneWay       bool             `json:"isNotificationOnly"`
	CommandLists []appCommandList `json:"commandLists,omitempty"`
}

type appCommandList struct {
	Scopes   []string  `json:"scopes"`
	Commands []Command `json:"commands"`
}

type appRegistered struct {
	ID       string `json:"id"`
	Resource string `json:"resource"`
}

type appConsent struct {
	Permissions appPermissions `json:"permissions"`
}

type appPermissions struct {
	ResourceSpecific []appPermission `json:"resourceSpecific"`
}

type appPermission struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// app lays the options out as Teams wants them.
func (o Options) app(domain string) app {
	a := app{
		Schema:          fmt.Sprintf(schemaFormat, writtenVersion),
		ManifestVersion: writtenVersion,
		Version:         o.Version,
		ID:              o.AppID,
		Developer:       appDeveloper(o.Developer),
		Name:            appText{o.ShortName, o.FullName},
		Description:     appText{o.ShortDescription, o.Description},
		Icons:           appIcons{Outline: outlineName, Color: colorName},
		AccentColor:     o.AccentColor,
		DefaultScope:    o.Scopes[0],
		Bots:            []appBot{{ID: o.BotID, Scopes: o.Scopes, Files: true}},
	}
	for _, s := range o.Scopes {
		if s == "personal" { // a hand-off belongs where nobody else reads along
			a.DefaultScope = s
		}
		if len(o.Commands) > 0 { // the schema asks for a list of its own for each scope
			a.Bots[0].CommandLists = append(a.Bots[0].CommandLists, appCommandList{[]string{s}, o.Commands})
		}
	}
	if domain != "" {
		a.ValidDomains = []string{domain}
	}
	if len(o.Permissions) > 0 {
		// Resource-specific consent makes no use of the resource, but is refused without one.
		a.WebApplication = &appRegistered{ID: o.BotID, Resource: "api://" + o.BotID}
		a.Authorization = &appConsent{}
		for _, p := range o.Permissions {
			r := &a.Authorization.Permissions.ResourceSpecific
			*r = append(*r, appPermission{p, "Application"})
		}
	}
	return a
}

func (a app) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(a); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return b.Bytes(), nil
}
