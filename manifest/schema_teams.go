package manifest

import (
	"fmt"
	"strconv"
	"strings"
)

// The versions of the manifest that are known, as their number after "1.".
const (
	oldest = 19
	newest = 25
)

// minor returns the number after "1." of a known version.
func minor(version string) (int, bool) {
	digits, ok := strings.CutPrefix(version, "1.")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= oldest && n <= newest && digits == strconv.Itoa(n)
}

// checkSchema checks m by the schema of the version it says it is; if it is not a known one, by that which Build writes.
func checkSchema(m map[string]any, f *faults) {
	version, isText := m["manifestVersion"].(string)
	n, known := minor(version)
	if !known {
		n, _ = minor(writtenVersion)
	}
	if isText && !known {
		f.add("/manifestVersion", ruleVersion, "%s is not known here; 1.%d to 1.%d are", quote(version), oldest, newest)
	}
	if s, ok := m["$schema"].(string); ok && known && s != fmt.Sprintf(schemaFormat, version) {
		f.add("/$schema", ruleVersion, "has to be that of version %s: %s", version, fmt.Sprintf(schemaFormat, version))
	}
	s := teamsSchema(n)
	s.check(m, "", f)
}

// teamsSchema returns the rules of manifest version 1.n, for the members that a bot's package may have.
// Which of them changed from one version to the next stands beside them.
func teamsSchema(n int) schema {
	name := obj(req("short", "full"), mem{"short": str(30), "full": str(100)})
	icons := obj(req("outline", "color"), mem{"outline": str(maxPath), "color": str(maxPath)})
	registered := obj(req("id"), mem{"id": guid(), "resource": str(2048)})
	installed := []string{"personal", "team", "groupChat", "meetings"}
	s := obj(
		req("$schema", "manifestVersion", "version", "id", "developer", "name", "description", "icons", "accentColor", "bots"),
		mem{
			"$schema":         str(0),
			"manifestVersion": str(0),
			"version":         str(256),
			"id":              guid(),
			"developer": obj(req("name", "websiteUrl", "privacyUrl", "termsOfUseUrl"), mem{
				"name": str(32), "mpnId": str(10), "websiteUrl": httpURL(), "privacyUrl": httpURL(), "termsOfUseUrl": httpURL(),
			}),
			"description":        obj(req("short", "full"), mem{"short": str(80), "full": str(4000)}),
			"accentColor":        schema{kind: text, form: &colorForm},
			"bots":               list(1, teamsBot(n)),
			"permissions":        list(2, choice("identity", "messageTeamMembers")),
			"devicePermissions":  list(5, choice("geolocation", "media", "notifications", "midi", "openExternal")),
			"validDomains":       list(16, str(2048)),
			"webApplicationInfo": registered,
			"authorization": obj(nil, mem{"permissions": obj(nil, mem{
				"resourceSpecific": set(16, obj(req("name", "type"), mem{"name": str(128), "type": choice("Application", "Delegated")})),
			})}),
			"showLoadingIndicator":         {kind: boolean},
			"isFullScreen":                 {kind: boolean},
			"defaultBlockUntilAdminAction": {kind: boolean},
			"publisherDocsUrl":             httpURL(),
			"supportedChannelTypes":        list(2, choice("sharedChannels", "privateChannels")),
			"defaultGroupCapability": obj(nil, mem{
				"team": choice("tab", "bot", "connector"), "groupchat": choice("tab", "bot", "connector"), "meetings": choice("tab", "bot", "connector"),
			}),
			"configurableProperties": list(9, choice("name", "shortDescription", "longDescription", "smallImageUrl", "largeImageUrl",
				"accentColor", "developerUrl", "privacyUrl", "termsOfUseUrl")),
		})
	for _, other := range []string{
		"localizationInfo", "configurableTabs", "staticTabs", "connectors", "subscriptionOffer", "composeExtensions", "graphConnector",
		"activities", "meetingExtensionDefinition", "extensions", "dashboardCards", "copilotAgents",
	} {
		s.members[other] = schema{}
	}
	if n >= 20 {
		name.required = req("short")
		s.members["intuneInfo"] = schema{}
		s.members["elementRelationshipSet"] = schema{}
	}
	if n >= 21 {
		icons.members["color32x32"] = str(maxPath)
		installed = append(installed, "copilot")
		s.members["backgroundLoadConfiguration"] = schema{}
	}
	if n >= 22 {
		registered.members["nestedAppAuthInfo"] = schema{}
	}
	if n >= 25 {
		s.members["supportsChannelFeatures"] = choice("tier1")
		s.members["agenticUserTemplates"] = schema{}
	}
	s.members["name"] = name
	s.members["icons"] = icons
	s.members["defaultInstallScope"] = choice(installed...)
	return s
}

// teamsBot returns the rules of a bot, in manifest version 1.n.
func teamsBot(n int) schema {
	scopes := list(3, choice("personal", "team", "groupChat"))
	title, description, commands := 32, 128, 10
	if n >= 21 {
		scopes = list(4, choice("personal", "team", "groupChat", "copilot"))
		title, description = 128, 4000
	}
	if n >= 24 {
		commands = 12
	}
	bot := obj(req("botId", "scopes"), mem{
		"botId":                guid(),
		"scopes":               scopes,
		"needsChannelSelector": {kind: boolean},
		"isNotificationOnly":   {kind: boolean},
		"supportsFiles":        {kind: boolean},
		"supportsCalling":      {kind: boolean},
		"supportsVideo":        {kind: boolean},
		"configuration":        {},
		"commandLists": list(3, obj(req("scopes", "commands"), mem{
			"scopes":   scopes,
			"commands": list(commands, obj(req("title", "description"), mem{"title": str(title), "description": str(description)})),
		})),
	})
	if n >= 20 {
		bot.members["requirementSet"] = schema{}
	}
	if n >= 23 {
		bot.members["registrationInfo"] = schema{}
	}
	return bot
}

// What follows makes the tables above readable.

type mem = map[string]schema

func req(names ...string) []string { return names }
func obj(required []string, members mem) schema {
	return schema{kind: object, required: required, members: members}
}

func list(most int, items schema) schema { return schema{kind: array, most: most, items: &items} }

func set(most int, items schema) schema {
	return schema{kind: array, most: most, items: &items, distinct: true}
}
func str(most int) schema            { return schema{kind: text, most: most} }
func choice(values ...string) schema { return schema{kind: text, choice: values} }
func guid() schema                   { return schema{kind: text, form: &guidForm} }
func httpURL() schema                { return schema{kind: text, most: 2048, form: &urlForm} }
