// Package manifest makes and checks the Teams app package of the bot: a zip with manifest.json and two
// icons, which an administrator uploads to Teams. It needs no network and keeps nothing.
//
// # Which version of the manifest
//
// [Build] writes version 1.19. It is the oldest one whose fields say all this bot needs, and each later
// one accepts the same fields, so that Teams clouds and checking tools that lag behind take the package
// too. Its limits on names and commands are the narrowest. [Validate] also knows the versions up to 1.25.
//
// # What is promised
//
// Build is deterministic: equal options give equal bytes. It never returns a package that Validate finds
// fault with. Validate takes any bytes and works within fixed bounds.
package manifest
