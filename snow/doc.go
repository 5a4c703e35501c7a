// Package snow is the ServiceNow side of snowbot: the login, the client of the Virtual Agent Bot
// Integration API, and the webhook that takes what ServiceNow posts, in both dialects. It knows
// nothing of Teams and keeps nothing.
package snow
