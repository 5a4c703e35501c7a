// Package manifest makes and checks the Teams app package of the bot: a zip with manifest.json and two
// icons, which an administrator uploads to Teams. It needs no network and keeps nothing.
//
// # Which version of the manifest
//
// [Build] writes version 1.19. It has a field for all that this bot needs, and each later version up to 1.30
// accepts what is written, but for the number. An old one is taken by Teams clouds and checking tools that lag
// behind, and its limits on names and commands are the narrowest. [Validate] knows 1.19 to 1.25.
//
// # What is promised
//
// Build is deterministic: equal options give equal bytes. It never returns a package that Validate finds
// fault with. Validate takes any bytes and works within fixed bounds.
package manifest
