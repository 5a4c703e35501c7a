package adapter

import "fmt"

// A Cloud is one of Microsoft's separate clouds, with the places and names that an app registered
// there needs (Bot Connector authentication, Azure Government and Azure China pages).
type Cloud struct {
	Name          string
	LoginHost     string // host of the Entra token endpoints
	DefaultTenant string // tenant in which a multi-tenant app asks for its token
	Scope         string // of the token for the Connector
	MetadataURL   string // OpenID metadata of the tokens that the channel sends
	Issuer        string // issuer of those tokens
	TokenService  string // Bot Framework Token Service
}

// Resource returns the scope as managed identities want it: without "/.default".
func (c Cloud) Resource() string {
	const suffix = "/.default"
	if n := len(c.Scope) - len(suffix); n > 0 && c.Scope[n:] == suffix {
		return c.Scope[:n]
	}
	return c.Scope
}

// CloudByName returns the cloud of that name: "public" (also ""), "usgov", "dod" or "china".
func CloudByName(name string) (Cloud, error) {
	government := Cloud{
		Name:          "usgov",
		LoginHost:     "login.microsoftonline.us",
		DefaultTenant: "MicrosoftServices.onmicrosoft.us",
		Scope:         "https://api.botframework.us/.default",
		MetadataURL:   "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
		Issuer:        "https://api.botframework.us",
		TokenService:  "https://tokengcch.botframework.azure.us",
	}
	switch name {
	case "", "public":
		return Cloud{
			Name:          "public",
			LoginHost:     "login.microsoftonline.com",
			DefaultTenant: "botframework.com",
			Scope:         "https://api.botframework.com/.default",
			MetadataURL:   "https://login.botframework.com/v1/.well-known/openidconfiguration",
			Issuer:        "https://api.botframework.com",
			TokenService:  "https://token.botframework.com",
		}, nil
	case "usgov":
		return government, nil
	case "dod":
		government.Name = "dod"
		government.TokenService = "https://apiDoD.botframework.azure.us"
		return government, nil
	case "china":
		return Cloud{
			Name:          "china",
			LoginHost:     "login.partner.microsoftonline.cn",
			DefaultTenant: "microsoftservices.partner.onmschina.cn",
			Scope:         "https://api.botframework.azure.cn/.default",
			MetadataURL:   "https://login.botframework.azure.cn/v1/.well-known/openidconfiguration",
			Issuer:        "https://api.botframework.azure.cn",
			TokenService:  "https://token.botframework.azure.cn",
		}, nil
	}
	return Cloud{}, fmt.Errorf("unknown cloud %q: want public, usgov, dod or china", name)
}
