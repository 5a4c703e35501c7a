package snowtest

import (
	"reflect"
	"strings"
)

// Texts are what the instance itself says. All of them are editable by an administrator, so a client must not depend on
// any. Entered, Left and Closed have the name of the agent in place of {name}.
type Texts struct {
	Agent         string // in place of a name when names are off
	StandBy       string
	Routing       string
	Wait          string // with {time}; DialectSpec has no spinner
	Entered       string
	Left          string
	Closed        string
	UserEnded     string
	NoAgents      string
	Reminder      string
	IdleClosed    string
	Greeting      string
	NotUnderstood string
	Capabilities  string
	WhichItem     string
	EndQuestion   string
	GoOn          string
	Finished      string
	CannotGoOn    string
	FileGot       string
	SurveyRating  string
	SurveyComment string
	SurveyThanks  string
}

// English are the texts an instance comes with, where they are known.
func English() Texts {
	return Texts{
		Agent:         "Agent",
		StandBy:       "Please stand by while I connect you to a live agent.",
		Routing:       "Routing you to a live agent...",
		Wait:          "Estimated wait time: {time}",
		Entered:       "{name} has entered the chat.",
		Left:          "{name} has left the chat.",
		Closed:        "{name} has closed the support session.",
		UserEnded:     "The conversation has ended. If you need help again, type hi.",
		NoAgents:      "There are no agents available. Please try again later.",
		Reminder:      "The conversation is timing out, are you still there?",
		IdleClosed:    "It seems you have left the conversation",
		Greeting:      "Hi! How can I help you?",
		NotUnderstood: "I didn't understand that.",
		Capabilities:  "I can open requests and answer questions.",
		WhichItem:     "Which item are you interested in?",
		EndQuestion:   "Do you want to end the conversation?",
		GoOn:          "All right, let's go on.",
		Finished:      "Done. Is there anything else?",
		CannotGoOn:    "This conversation cannot continue.",
		FileGot:       "File got",
		SurveyRating:  "How satisfied are you with this chat?",
		SurveyComment: "Is there anything you want to tell us?",
		SurveyThanks:  "Thank you for your feedback.",
	}
}

// German are the same texts in another language, for clients that look for English words.
func German() Texts {
	return Texts{
		Agent:         "Ein Agent",
		StandBy:       "Bitte warten Sie, ich verbinde Sie mit einem Mitarbeiter.",
		Routing:       "Sie werden weitergeleitet...",
		Wait:          "Voraussichtliche Wartezeit: {time}",
		Entered:       "{name} ist dem Chat beigetreten.",
		Left:          "{name} hat den Chat verlassen.",
		Closed:        "{name} hat die Support-Sitzung geschlossen.",
		UserEnded:     "Die Unterhaltung ist beendet.",
		NoAgents:      "Zurzeit ist niemand erreichbar.",
		Reminder:      "Die Unterhaltung läuft ab, sind Sie noch da?",
		IdleClosed:    "Sie haben die Unterhaltung offenbar verlassen.",
		Greeting:      "Hallo! Wie kann ich helfen?",
		NotUnderstood: "Das habe ich nicht verstanden.",
		Capabilities:  "Ich kann Anfragen anlegen und Fragen beantworten.",
		WhichItem:     "Was möchten Sie?",
		EndQuestion:   "Möchten Sie die Unterhaltung beenden?",
		GoOn:          "Gut, dann weiter.",
		Finished:      "Erledigt. Noch etwas?",
		CannotGoOn:    "Diese Unterhaltung kann nicht fortgesetzt werden.",
		FileGot:       "Datei erhalten",
		SurveyRating:  "Wie zufrieden sind Sie mit diesem Chat?",
		SurveyComment: "Möchten Sie uns noch etwas sagen?",
		SurveyThanks:  "Danke für Ihre Rückmeldung.",
	}
}

// complete fills the empty texts from English.
func (t *Texts) complete() {
	have, english := reflect.ValueOf(t).Elem(), reflect.ValueOf(English())
	for i := range have.NumField() {
		if have.Field(i).String() == "" {
			have.Field(i).Set(english.Field(i))
		}
	}
}

// named puts the agent's name, or what stands for it, into a text.
func named(text, name string) string { return strings.ReplaceAll(text, "{name}", name) }
