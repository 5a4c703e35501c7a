// An echo bot of @microsoft/agents-hosting.
import http from 'node:http'
import { createRequire } from 'node:module'
import { accessToken, app, listening, login, metadata, password, tenant } from './platform.mjs'

const require = createRequire(import.meta.url)
const { ActivityHandler, CloudAdapter, ConnectorClient } = require('@microsoft/agents-hosting')
const express = require('express')

// The address of Microsoft's keys is fixed in its code; they are fetched where the metadata says.
const keys = new URL((await (await fetch(metadata)).json()).jwks_uri)
require('node:https').request = (options, answered) =>
  http.request({ hostname: keys.hostname, port: keys.port, path: keys.pathname, method: 'GET' }, answered)

const config = { clientId: app, clientSecret: password, tenantId: tenant, issuers: ['https://api.botframework.com'] }

// Its own credentials insist on Microsoft's hosts.
class Adapter extends CloudAdapter {
  async createConnectorClientWithIdentity (_, activity) { return ConnectorClient.createClientWithToken(activity.serviceUrl, await accessToken()) }
  async createUserTokenClient () { return {} }
  ensureOutboundServiceUrlAllowed () {}
}
const adapter = new Adapter(config)

class Echo extends ActivityHandler {
  constructor () {
    super()
    this.onMessage(async (context, next) => { await context.sendActivity(context.activity.text); await next() })
  }
}
const bot = new Echo()

const server = express()
server.use(express.json())
server.use(adapter.jwtMiddleware)
server.post('/api/messages', (req, res) => adapter.process(req, res, context => bot.run(context)))
const s = server.listen(0, '127.0.0.1', () => listening(s))
