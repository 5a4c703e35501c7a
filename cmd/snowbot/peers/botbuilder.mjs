// An echo bot of botbuilder.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { accessToken, app, listening, login, metadata } from './platform.mjs'

const require = createRequire(import.meta.url)
const { ActivityHandler, CloudAdapter } = require('botbuilder')
const { BotFrameworkAuthenticationFactory, ServiceClientCredentialsFactory } = require('botframework-connector')
const audience = 'https://api.botframework.com'

class Credentials extends ServiceClientCredentialsFactory {
  async isValidAppId (id) { return id === app }
  async isAuthenticationDisabled () { return false }
  async createCredentials () {
    return {
      signRequest: async request => {
        request.headers.set('Authorization', 'Bearer ' + await accessToken())
        return request
      }
    }
  }
}

const adapter = new CloudAdapter(BotFrameworkAuthenticationFactory.create('', true, login, audience, audience, login,
  metadata, metadata, 'urn:botframework:azure', new Credentials(), { requiredEndorsements: [] }))

class Echo extends ActivityHandler {
  constructor () {
    super()
    this.onMessage(async (context, next) => { await context.sendActivity(context.activity.text); await next() })
  }
}
const bot = new Echo()

createServer((req, res) => {
  const parts = []
  req.on('data', d => parts.push(d))
  req.on('end', () => {
    res.status = code => { res.statusCode = code; return res }
    res.header = (name, value) => { res.setHeader(name, value); return res }
    res.send = value => { res.write(typeof value === 'string' ? value : JSON.stringify(value)); return res }
    try { req.body = JSON.parse(Buffer.concat(parts)) } catch { /* which it answers 400 */ }
    adapter.process(req, res, context => bot.run(context)).catch(() => { res.statusCode = 500; res.end() })
  })
}).listen(0, '127.0.0.1', function () { listening(this) })
