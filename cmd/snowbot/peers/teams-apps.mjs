// An echo bot of @microsoft/teams.apps.
import http from 'node:http'
import { createRequire } from 'node:module'
import { accessToken, app, listening, login, metadata, tenant } from './platform.mjs'

const require = createRequire(import.meta.url)
const { App, ExpressAdapter } = require('@microsoft/teams.apps')
const { PUBLIC } = require('@microsoft/teams.api')

const quiet = { debug () {}, info () {}, warn () {}, error () {}, trace () {}, log () {}, child: () => quiet }
const server = http.createServer()
const listen = server.listen.bind(server)
server.listen = (_, ready) => listen(0, '127.0.0.1', ready) // it would listen on every interface

const bot = new App({
  clientId: app, tenantId: tenant, token: () => accessToken(), logger: quiet,
  cloud: { ...PUBLIC, openIdMetadataUrl: metadata, loginEndpoint: login },
  httpServerAdapter: new ExpressAdapter(server, { logger: quiet })
})
bot.on('message', async ({ activity, send }) => { await send(activity.text) })
await bot.start(0)
listening(server)
