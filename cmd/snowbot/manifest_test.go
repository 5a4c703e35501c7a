package main

import (
	"testing"

	"snowbot/bot"
	"snowbot/manifest"
)

// TestManifestCommandsAreUnderstood keeps the menu that Teams shows and the words the bot knows together.
func TestManifestCommandsAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range manifest.DefaultCommands() {
		switch {
		case bot.DetectHelp(c.Title), bot.DetectCommand(c.Title) != bot.CommandNone:
		case bot.DetectIntent(c.Title, "en", nil) == bot.IntentAgent:
		default:
			t.Errorf("the bot does not know what %q means", c.Title)
		}
	}
}
