package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// checkBots checks the bot, its commands and its scopes.
func checkBots(m map[string]any, f *faults) {
	bots, ok := m["bots"].([]any)
	if !ok {
		return
	}
	if len(bots) == 0 {
		f.add("/bots", ruleCount, "is empty: this is the package of a bot")
		return
	}
	bot, ok := bots[0].(map[string]any)
	if !ok {
		return
	}
	const at = "/bots/0"
	checkNotNil(bot["botId"], at+"/botId", f)
	if bot["isNotificationOnly"] == true {
		f.add(at+"/isNotificationOnly", ruleScope, "nobody could write to the bot")
	}
	scopes := texts(bot["scopes"])
	checkScopes(bot["scopes"], at+"/scopes", f)
	if d, ok := m["defaultInstallScope"].(string); ok {
		if d == "meetings" {
			d = "groupChat" // a meeting's chat
		}
		if !slices.Contains(scopes, d) {
			f.add("/defaultInstallScope", ruleScope, "the bot is not in the scope %s", quote(d))
		}
	}
	lists, _ := bot["commandLists"].([]any)
	taken := map[string]int{} // the list of a scope
	for i, l := range lists {
		list, ok := l.(map[string]any)
		if !ok || f.full() {
			continue
		}
		here := at + "/commandLists/" + strconv.Itoa(i)
		checkScopes(list["scopes"], here+"/scopes", f)
		for _, s := range texts(list["scopes"]) {
			if !slices.Contains(scopes, s) {
				f.add(here+"/scopes", ruleScope, "the bot is not in the scope %s", quote(s))
			}
			if other, ok := taken[s]; ok && other != i {
				f.add(here+"/scopes", ruleScope, "the scope %s has a list of commands already", quote(s))
			}
			taken[s] = i
		}
		checkCommands(list["commands"], here+"/commands", f)
	}
}

// checkScopes finds none, and doubles.
func checkScopes(v any, pointer string, f *faults) {
	list, ok := v.([]any)
	if ok && len(list) == 0 {
		f.add(pointer, ruleCount, "is empty")
	}
	all := texts(v)
	for i, s := range all {
		if slices.Contains(all[:i], s) {
			f.add(pointer, ruleDuplicate, "the scope %s is there twice", quote(s))
		}
	}
}

func checkCommands(v any, pointer string, f *faults) {
	list, ok := v.([]any)
	if ok && len(list) == 0 {
		f.add(pointer, ruleCount, "is empty")
	}
	seen := map[string]bool{}
	for i, c := range list {
		command, ok := c.(map[string]any)
		if !ok || f.full() {
			continue
		}
		at := pointer + "/" + strconv.Itoa(i)
		checkShown(command["title"], at+"/title", f)
		checkShown(command["description"], at+"/description", f)
		if t, ok := command["title"].(string); ok {
			if low := strings.ToLower(t); seen[low] {
				f.add(at+"/title", ruleDuplicate, "the command is there twice")
			} else {
				seen[low] = true
			}
		}
	}
}
