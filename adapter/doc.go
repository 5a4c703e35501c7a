// Package adapter is the Bot Framework side of snowbot: the activity model, the verification of
// what Microsoft sends, and the client of the Bot Connector through which Teams is answered. It
// knows nothing of ServiceNow and keeps nothing.
package adapter
