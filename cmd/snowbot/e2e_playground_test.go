//go:build e2e

package main

import (
	"strconv"
	"strings"
	"testing"
)

// A pageHand uses the Playground's page, as a person does.
type pageHand struct {
	*playground
	page *browser
	in   string // the conversation that the page shows
}

const (
	playBox  = `div[role=textbox][contenteditable=true]`
	playSend = `role=button[name="Send Message"]`
)

func (h *pageHand) open(in string) {
	h.t.Helper()
	if h.in == in {
		return
	}
	if h.in == "" {
		h.page.open(h.url)
		h.page.click(`button[title="Hide log panel"]`) // which shows all words once more
	}
	name := map[string]string{playPersonal: "Personal Chat", playGroup: "Group Chat"}[in]
	h.page.click(`role=treeitem[name="` + name + `"]`)
	h.page.see(playBox)
	h.in = in
}

func (h *pageHand) installs(in string) { h.t.Helper(); h.open(in) }

func (h *pageHand) says(text string) {
	h.t.Helper()
	h.open(playPersonal)
	h.page.write(playBox, text)
	h.page.click(playSend)
}

func (h *pageHand) mentions(bot bool, text string) {
	h.t.Helper()
	h.open(playGroup)
	if bot {
		h.page.write(playBox, "@")
		h.page.click(`#typeahead-menu [role=menuitem]:has-text("Help desk")`)
	}
	h.page.write(playBox, text)
	h.page.click(playSend)
}

func (h *pageHand) presses(_ playMessage, title string) {
	h.t.Helper()
	h.page.click(`role=button[name=` + strconv.Quote(title) + `]`)
}

func (h *pageHand) looks(m playMessage, words string) {
	h.t.Helper()
	h.open(m.in)
	switch {
	case strings.HasPrefix(words, "https:"):
		h.page.see(`img[src="` + words + `"]`)
	case strings.HasPrefix(words, "["):
		label, address, _ := strings.Cut(strings.Trim(words, "[)"), "](")
		h.page.see(`a[href="` + address + `"]:text-is("` + label + `")`)
	default:
		h.page.see("text=" + words)
	}
}

func (h *pageHand) looksForTyping() {
	h.t.Helper()
	h.page.see(`.fui-Avatar + div:empty + div:empty + div:empty`)
}

func (h *pageHand) shoots(name string) { h.t.Helper(); h.page.shoot(name) }

// TestPlaygroundInBrowser has Alex do in a real browser what TestJudgePlayground does without one.
func TestPlaygroundInBrowser(t *testing.T) {
	y := newPlay(t)
	page := openBrowser(t, "playground", 1280, 800)
	y.hand = &pageHand{playground: y.playground, page: page}
	y.everything()
	page.finish()
}
