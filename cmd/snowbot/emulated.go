package main

import (
	"maps"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// emulatedEnv are the settings of a service between two emulators, apart from secrets of its own and the database.
func emulatedEnv(teams *adaptertest.Channel, now *snowtest.Instance) map[string]string {
	env := map[string]string{"LISTEN_ADDR": "127.0.0.1:0", "ADMIN_LISTEN_ADDR": "127.0.0.1:0"}
	maps.Copy(env, teamsEnv(teams))
	maps.Copy(env, serviceNowEnv(now))
	return env
}

// teamsEnv are the settings that lead a service to an emulated Teams.
func teamsEnv(c *adaptertest.Channel) map[string]string {
	return map[string]string{
		"MICROSOFT_APP_ID": c.AppID(), "MICROSOFT_APP_PASSWORD": c.AppPassword(), "MICROSOFT_APP_TENANT_ID": c.TenantID(),
		"BOT_OPENID_METADATA": c.MetadataURL(), "BOT_TOKEN_URL": c.TokenURL(),
	}
}

// serviceNowEnv are the settings that lead a service to an emulated instance.
func serviceNowEnv(i *snowtest.Instance) map[string]string {
	id, secret, user, password := i.Credentials()
	return map[string]string{
		"SERVICENOW_INSTANCE": i.URL(), "SERVICENOW_CLIENT_ID": id, "SERVICENOW_CLIENT_SECRET": secret,
		"SERVICENOW_USERNAME": user, "SERVICENOW_PASSWORD": password,
	}
}
