// Command snowbot hands employees who chat with a bot in Microsoft Teams to ServiceNow live agents, and back.
package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// commands are what the binary can do.
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Run the service."`
	Sandbox     sandboxCommand     `cmd:"" help:"Run everything on this machine, with Teams and ServiceNow emulated, and a page with both chats."`
	Doctor      doctorCommand      `cmd:"" help:"Check the settings, the database and both platforms, and say what to do."`
	Sessions    sessionsCommand    `cmd:"" help:"List the live sessions."`
	DeadLetters deadLettersCommand `cmd:"" help:"Look at what was given up, and send or drop it."`
	Export      exportCommand      `cmd:"" help:"Print everything that is kept of a person."`
	Erase       eraseCommand       `cmd:"" help:"Remove everything that is kept of a person."`
	Rekey       rekeyCommand       `cmd:"" help:"Seal everything with the first key, so that older ones can be dropped."`
	Store       storeCommand       `cmd:"" help:"Move what is kept to another database."`
	Migrate     migrateCommand     `cmd:"" help:"Bring the schema of a PostgreSQL database up to date."`
	Manifest    manifestCommand    `cmd:"" help:"Build and check the Teams app package."`
	Bench       benchCommand       `cmd:"" help:"Measure the service on this machine, with Teams and ServiceNow emulated."`
	BenchPeer   benchPeerCommand   `cmd:"" hidden:""`
	BenchEcho   benchEchoCommand   `cmd:"" hidden:""`
	Keygen      keygenCommand      `cmd:"" help:"Print a new DATA_ENCRYPTION_KEY."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run()) }

// misspelt are the parser's errors about the command line itself.
var misspelt = regexp.MustCompile(`^(expected|unexpected|unknown|missing) `)

// run is main, and returns the exit code: 1 for a failure, 2 for a command line or settings that cannot be used.
func run() int {
	var c commands
	helped := false
	k, err := kong.New(&c,
		kong.Name("snowbot"),
		kong.Description("Hands employees in Microsoft Teams to ServiceNow live agents, and back."),
		kong.ValueFormatter(func(v *kong.Value) string { // the README's table has them in bold
			return strings.ReplaceAll(kong.DefaultHelpValueFormatter(v), "**", "")
		}),
		kong.Exit(func(int) { helped = true }), // the parser's way to say that it has printed the help
		kong.Resolvers(secretFiles{}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "snowbot:", err)
		return 2
	}
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := k.Parse(args)
	if helped {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "snowbot:", err)
		if misspelt.MatchString(err.Error()) {
			fmt.Fprintln(os.Stderr, "`snowbot --help` lists the commands, `snowbot COMMAND --help` what one takes")
		}
		return 2
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "snowbot:", err)
		if se := (*settingsError)(nil); errors.As(err, &se) {
			return 2
		}
		return 1
	}
	return 0
}
