package bot_test

import (
	"strings"
	"testing"

	"snowbot/bot"
)

func TestDetectCommand(t *testing.T) {
	t.Parallel()
	for want, texts := range map[bot.Command][]string{
		bot.CommandCancel: {
			"cancel", "Cancel", " CANCEL! ", "cancel.", "please cancel", "cancel please", "cancelar", "annuler", "Annuler !",
			"abbrechen", "annulla", "annuleren", "キャンセル", "ｷｬﾝｾﾙ", "ＣＡＮＣＥＬ", "cancel 🙏", "\tcancel\n",
		},
		bot.CommandEndChat: {
			"end chat", "End chat.", "END  CHAT", "end\u00a0chat", "terminar chat", "Terminer le chat", "Chat beenden", "encerrar chat",
			"termina chat", "chat beëindigen", "Chat beeindigen", "チャット終了", "チャットを終了してください。",
		},
		bot.CommandNone: {
			"", " ", "!", "quit", "end", "stop", "bye", "chat", "no", "exit", "close", "done", "Ende", "fin", "終了",
			"cancel my meeting", "how do I cancel", "don't cancel", "I want to end chat windows", "end chat history", "cancel, or wait?",
			"cancelled", "end the chat with my manager", strings.Repeat("cancel ", 50), "\xff\xfe",
		},
	} {
		for _, text := range texts {
			if got := bot.DetectCommand(text); got != want {
				t.Errorf("DetectCommand(%q) = %v, want %v", text, got, want)
			}
		}
	}
}

// The words on the buttons and in the help are commands when they are typed.
func TestButtonsCanBeTyped(t *testing.T) {
	t.Parallel()
	for _, code := range bot.TextLanguages() {
		texts := bot.TextsFor(code)
		if text := texts.Say(bot.TextButtonCancel); bot.DetectCommand(text) != bot.CommandCancel {
			t.Errorf("%s: %q does not cancel", code, text)
		}
		if text := texts.Say(bot.TextButtonEnd); bot.DetectCommand(text) != bot.CommandEndChat {
			t.Errorf("%s: %q does not end the chat", code, text)
		}
		if text := texts.Say(bot.TextButtonTalkToPerson); bot.DetectIntent(text, code, nil) != bot.IntentAgent {
			t.Errorf("%s: %q does not ask for an agent", code, text)
		}
	}
}

func TestHelpAndGreeting(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"help", "Help!", "HILFE", "ayuda", "¡Ayuda!", "aide", "ajuda", "aiuto", "hulp", "ヘルプ", "help please"} {
		if !bot.DetectHelp(text) {
			t.Errorf("DetectHelp(%q) = false", text)
		}
		if bot.DetectIntent(text, "", nil) != bot.IntentNone {
			t.Errorf("%q asks for an agent", text)
		}
	}
	for _, text := range []string{"", "help my printer is on fire", "helpdesk", "helper"} {
		if bot.DetectHelp(text) {
			t.Errorf("DetectHelp(%q) = true", text)
		}
	}
	for _, text := range []string{"hi", "Hello!", "Guten Tag", "¡Hola!", "Bonjour", "olá", "ciao", "Goedemorgen", "こんにちは"} {
		if !bot.DetectGreeting(text) {
			t.Errorf("DetectGreeting(%q) = false", text)
		}
	}
	for _, text := range []string{"", "hi, my printer is on fire", "highlight"} {
		if bot.DetectGreeting(text) {
			t.Errorf("DetectGreeting(%q) = true", text)
		}
	}
}
