package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"snowbot/manifest"
)

type manifestCommand struct {
	Build    manifestBuild    `cmd:"" help:"Write the app package: a zip to upload to Teams."`
	Validate manifestValidate `cmd:"" help:"Check an app package, without the network."`
}

// manifestBuild writes the package. What it needs of the environment is what the service needs too.
type manifestBuild struct {
	Out       string `default:"snowbot.zip" help:"File to write."`
	BotID     string `env:"MICROSOFT_APP_ID" name:"microsoft-app-id" help:"The bot's Microsoft app id. **Required.**"`
	PublicURL string `env:"PUBLIC_URL" name:"public-url" help:"How Teams reaches the service. **Required**, unless --website is given."`

	AppID       string   `name:"app-id" help:"Id of the app in Teams, a GUID; the bot's id by default. Keep it when you update the app."`
	AppVersion  string   `name:"app-version" default:"1.0.0" help:"Version of the package. Raise it with each update."`
	Name        string   `help:"Name of the app, at most 30 characters."`
	FullName    string   `help:"Long name, at most 100 characters."`
	Summary     string   `help:"Description in one line, at most 80 characters."`
	Description string   `help:"Long description, at most 4000 characters."`
	Developer   string   `help:"Who answers for the app, at most 32 characters."`
	Website     string   `help:"Their website, https; PUBLIC_URL by default."`
	Privacy     string   `help:"Their privacy statement, https; the website by default."`
	Terms       string   `help:"Their terms of use, https; the website by default."`
	Color       string   `help:"Accent colour, #rrggbb."`
	Scopes      []string `help:"Where the bot may be used: personal,team,groupChat, which is the default."`
	Permissions []string `help:"Resource-specific permissions, such as ChannelMessage.Read.Group."`
	ColorIcon   string   `help:"PNG of 192x192 pixels instead of the drawn one."`
	OutlineIcon string   `help:"PNG of 32x32 pixels, white on transparent, instead of the drawn one."`
}

// Run writes the package, or says why it would be none.
func (c *manifestBuild) Run() error {
	var wrong settingsError
	if strings.TrimSpace(c.BotID) == "" {
		wrong.problems = append(wrong.problems, "MICROSOFT_APP_ID is missing")
	}
	if c.PublicURL == "" && c.Website == "" {
		wrong.problems = append(wrong.problems, "PUBLIC_URL is missing, and there is no --website either: Teams wants one for the developer")
	} else if c.PublicURL != "" {
		if err := checkURL(c.PublicURL); err != nil {
			wrong.problems = append(wrong.problems, "PUBLIC_URL "+err.Error())
		}
	}
	if len(wrong.problems) > 0 {
		return &wrong
	}
	o := manifest.Options{
		BotID: c.BotID, AppID: c.AppID, Version: c.AppVersion,
		ShortName: c.Name, FullName: c.FullName, ShortDescription: c.Summary, Description: c.Description,
		Developer:   manifest.Developer{Name: c.Developer, Website: c.Website, Privacy: c.Privacy, Terms: c.Terms},
		AccentColor: c.Color, Scopes: c.Scopes, PublicURL: c.PublicURL, Permissions: c.Permissions,
	}
	var err error
	if o.ColorIcon, err = readOptional(c.ColorIcon); err != nil {
		return err
	}
	if o.OutlineIcon, err = readOptional(c.OutlineIcon); err != nil {
		return err
	}
	packed, err := manifest.Build(o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, packed, 0o644); err != nil { // it holds no secret, and is to be passed on
		return err
	}
	fmt.Printf("Wrote %s, version %s of the app.\n\n", c.Out, c.AppVersion)
	fmt.Println(c.next())
	return nil
}

// next says what to do with the package.
func (c *manifestBuild) next() string {
	endpoint := "PUBLIC_URL/api/messages"
	if c.PublicURL != "" {
		endpoint = strings.TrimRight(c.PublicURL, "/") + "/api/messages"
	}
	return "Next:\n" +
		"  1. Azure portal, your Azure Bot: set the messaging endpoint to " + endpoint + ",\n" +
		"     and turn on the Microsoft Teams channel.\n" +
		"  2. Teams admin center, Teams apps, Manage apps, Upload new app: choose the file.\n" +
		"     To try it by yourself first: Teams, Apps, Manage your apps, Upload an app.\n" +
		"  3. Write \"help\" to the bot."
}

// readOptional reads an icon, or nothing when no path is given.
func readOptional(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return readPackageFile(path)
}

// readPackageFile reads at most a little more than what can be valid.
func readPackageFile(path string) ([]byte, error) {
	const most = 16 << 20
	f, err := os.Open(path) // the admin names the file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

type manifestValidate struct {
	File string `arg:"" help:"The app package, a zip." type:"path"`
}

// Run prints every fault on a line of its own, or "valid".
func (c *manifestValidate) Run() error {
	packed, err := readPackageFile(c.File)
	if err != nil {
		return err
	}
	faults := manifest.Validate(packed)
	for _, f := range faults {
		fmt.Println(f)
	}
	if len(faults) > 0 {
		return errors.New("the package is not valid")
	}
	fmt.Println("valid")
	return nil
}
