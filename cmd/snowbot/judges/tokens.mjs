// Asks two of Microsoft's libraries whether they would take a request. Standard input has one JSON object a line,
// {name, authorization, activity}; each is answered with {name, connector, teams}: true when taken.
// The environment names the bot and the emulated identity provider: APP_ID, TENANT_ID, METADATA_URL, LOGIN_URL.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { BotFrameworkAuthenticationFactory, PasswordServiceClientCredentialFactory } = require('botframework-connector')
const { PUBLIC } = require('@microsoft/teams.api')
// Not exported, but what its server asks.
const { InboundActivityTokenValidator } = require('@microsoft/teams.apps/dist/middleware/auth/inbound-activity-token-validator.js')

const { APP_ID: app, TENANT_ID: tenant, METADATA_URL: metadata, LOGIN_URL: login } = process.env
const quiet = { debug () {}, info () {}, warn () {}, error () {}, trace () {}, log () {}, child: () => quiet }

const connector = BotFrameworkAuthenticationFactory.create('', true, login, 'https://api.botframework.com',
  'https://api.botframework.com', login, metadata, metadata, 'urn:botframework:azure',
  new PasswordServiceClientCredentialFactory(app, 'not used', tenant), { requiredEndorsements: [] })
const teams = new InboundActivityTokenValidator(app, tenant, undefined, quiet,
  { ...PUBLIC, openIdMetadataUrl: metadata, loginEndpoint: login })

const taken = async ask => {
  try {
    await ask()
    return true
  } catch {
    return false
  }
}

// Both libraries write to the log when they refuse.
const answer = console.log
console.log = console.info = console.warn = console.error = () => {}

for await (const line of createInterface({ input: process.stdin })) {
  const { name, authorization, activity } = JSON.parse(line)
  answer(JSON.stringify({
    name,
    connector: await taken(() => connector.authenticateRequest(activity, authorization)),
    teams: await taken(() => teams.check(authorization, activity))
  }))
}
