package bot

import (
	"slices"
	"strings"
)

// Command is what an employee can order by typing words that are the whole message. Single words such
// as "quit", "stop" or "bye" are none, because they answer an agent's questions.
type Command int

// The commands.
const (
	CommandNone    Command = iota
	CommandCancel          // give up while connecting or waiting
	CommandEndChat         // end the session at any time
)

// maxCommandBytes is more than any command in the tables takes, however it is spelt or decorated, and maxCommandWords how many
// words the longest of them has.
const (
	maxCommandBytes = 200
	maxCommandWords = 4
)

// DetectCommand returns the command that text is. Case, accents, width, punctuation and emoji do not
// matter, and neither does a word of politeness around the command; any other word makes it none.
func DetectCommand(text string) Command {
	words := commandWords(text)
	switch {
	case slices.Contains(cancelCommands, words):
		return CommandCancel
	case slices.Contains(endChatCommands, words):
		return CommandEndChat
	}
	return CommandNone
}

// DetectHelp reports whether text as a whole asks for help with the bot.
func DetectHelp(text string) bool { return slices.Contains(helpCommands, commandWords(text)) }

// commandWords returns text as the tables below spell it, or nothing when it is too long to be in them.
func commandWords(text string) string {
	if len(text) > maxCommandBytes {
		return ""
	}
	words := make([]string, 0, maxCommandWords+1)
	t := tokeniser{rest: fold(text), words: make([]word, 0, 2*maxCommandWords)}
	for next := 0; t.rest != ""; next = len(t.words) {
		t.step()
		for _, w := range t.words[next:] {
			if w.boundary || slices.Contains(politeWords, w.text) {
				continue
			}
			if words = append(words, w.text); len(words) > maxCommandWords { // as most messages have
				return ""
			}
		}
	}
	return strings.Join(words, " ")
}

// politeWords may stand around a command.
var politeWords = []string{"please", "bitte", "svp", "pls", "plz", "alsjeblieft", "alstublieft"}

// cancelCommands are words that mean "cancel", normalised.
var cancelCommands = []string{
	"cancel", "cancel chat", "cancel request", "cancel the request", "cancel my request",
	"cancelar", "cancelar chat", "cancelar solicitud", "cancelar la solicitud", "cancelar pedido", "cancelar o pedido",
	"annuler", "annuler la demande", "annuler ma demande",
	"abbrechen", "anfrage abbrechen",
	"annulla", "annullare", "annulla richiesta", "annulla la richiesta",
	"annuleren", "annuleer", "aanvraag annuleren",
	"キャンセル", "キャンセルする", "取り消し", "取消", "取り消す", "キャンセルしてください",
}

// endChatCommands are words that mean "end chat", normalised.
var endChatCommands = []string{
	"end chat", "end the chat", "end this chat",
	"terminar chat", "terminar el chat", "finalizar chat", "finalizar el chat", "cerrar chat", "cerrar el chat",
	"terminer le chat", "terminer chat", "mettre fin au chat", "fin du chat", "quitter le chat",
	"chat beenden", "den chat beenden", "beende den chat", "beende chat",
	"encerrar chat", "encerrar o chat", "terminar o chat", "finalizar o chat",
	"termina chat", "termina la chat", "terminare la chat", "chiudi chat", "chiudi la chat", "fine chat",
	"chat beeindigen", "beeindig chat", "beeindig de chat", "de chat beeindigen", "chat afsluiten",
	"チャット終了", "チャットを終了", "チャットを終了する", "チャットを終わる", "チャットを終える", "チャット終わり", "チャットを終了してください",
}

// helpCommands are words that mean "help", normalised.
var helpCommands = []string{
	"help", "help me", "ayuda", "ayudame", "aide", "aidez moi", "aide moi", "hilfe", "hilf mir",
	"ajuda", "me ajuda", "ajude me", "aiuto", "aiutami", "hulp", "help mij", "ヘルプ", "助けて", "使い方", "使い方を教えて",
}

// DetectGreeting reports whether text as a whole is a greeting.
func DetectGreeting(text string) bool {
	return slices.Contains(greetings, commandWords(text))
}

// greetings are words of welcome, normalised.
var greetings = []string{
	"hi", "hello", "hey", "hi there", "hello there", "good morning", "good afternoon", "good evening",
	"hola", "buenos dias", "buenas", "buenas tardes", "buenas noches",
	"bonjour", "bonsoir", "salut", "coucou",
	"hallo", "guten morgen", "guten tag", "guten abend", "moin", "servus", "gruss gott",
	"ola", "oi", "bom dia", "boa tarde", "boa noite",
	"ciao", "salve", "buongiorno", "buonasera",
	"hoi", "goedemorgen", "goedemiddag", "goedenavond", "goedendag",
	"こんにちは", "こんばんは", "おはよう", "おはようございます", "お疲れ様です", "お疲れさまです",
}
