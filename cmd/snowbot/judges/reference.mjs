// A bot written with Microsoft's own framework, botbuilder, with its token checks on. It says what it was told, so that what
// drives our service can be tried on a bot that nobody here wrote.
// The environment names the bot and its platform: APP_ID, APP_PASSWORD, TENANT_ID, METADATA_URL, TOKEN_URL, LOGIN_URL.
// It prints the port it listens on, as {"port": …}.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { CloudAdapter, TeamsActivityHandler, TeamsInfo, TurnContext, CardFactory, MessageFactory } = require('botbuilder')
const { BotFrameworkAuthenticationFactory, ServiceClientCredentialsFactory } = require('botframework-connector')

const { APP_ID: app, APP_PASSWORD: password, TENANT_ID: tenant, METADATA_URL: metadata, TOKEN_URL: tokenURL, LOGIN_URL: login } = process.env
const audience = 'https://api.botframework.com'

// Its own credentials insist on Microsoft's hosts.
class Credentials extends ServiceClientCredentialsFactory {
  async isValidAppId (id) { return id === app }
  async isAuthenticationDisabled () { return false }
  async createCredentials () {
    return {
      signRequest: async request => {
        const form = { grant_type: 'client_credentials', client_id: app, client_secret: password, scope: audience + '/.default' }
        const answer = await fetch(tokenURL, { method: 'POST', body: new URLSearchParams(form) })
        if (!answer.ok) throw new Error(`no token: ${answer.status}`)
        request.headers.set('Authorization', 'Bearer ' + (await answer.json()).access_token)
        return request
      }
    }
  }
}

const adapter = new CloudAdapter(BotFrameworkAuthenticationFactory.create('', true, login, audience, audience, login,
  metadata, metadata, 'urn:botframework:azure', new Credentials(), { requiredEndorsements: [] }))
adapter.onTurnError = async (context, err) => { await context.sendActivity('turn failed: ' + err.message) }

const card = CardFactory.adaptiveCard({
  type: 'AdaptiveCard',
  version: '1.5',
  body: [{ type: 'TextBlock', text: 'Press it', wrap: true }],
  actions: [{ type: 'Action.Submit', title: 'Press', data: { answer: 'pressed' } }]
})

class Echo extends TeamsActivityHandler {
  constructor () {
    super()
    const say = text => async (context, next) => { await context.sendActivity(text(context.activity)); await next() }
    this.onMembersAdded(say(a => 'added ' + a.membersAdded.map(m => m.id === a.recipient.id ? 'the bot' : 'somebody').sort().join(' and ')))
    this.onMembersRemoved(say(a => `removed ${a.membersRemoved.length}`))
    this.onInstallationUpdateAdd(say(() => 'installed'))
    this.onReactionsAdded(say(a => `reaction ${a.reactionsAdded[0].type} to ${a.replyToId}`))
    this.onTeamsMessageEditEvent(say(a => `edited: ${a.text}`))
    this.onTeamsMessageSoftDeleteEvent(say(a => `deleted ${a.id}`))
    this.onMessage(async (context, next) => { await this.hear(context); await next() })
  }

  async hear (context) {
    const a = context.activity
    const text = (TurnContext.removeRecipientMention(a) ?? a.text ?? '').trim()
    if (a.value) return context.sendActivity(`chose ${JSON.stringify(a.value)}`)
    switch (text) {
      case 'card': return context.sendActivity({ ...MessageFactory.attachment(card), summary: 'Press it' })
      case 'type': return context.sendActivity({ type: 'typing' })
      case 'update': {
        const { id } = await context.sendActivity('first')
        return context.updateActivity({ ...MessageFactory.text('second'), id })
      }
      case 'delete': {
        const { id } = await context.sendActivity('never seen')
        return context.deleteActivity(id)
      }
      case 'who': {
        const me = await TeamsInfo.getMember(context, a.from.id)
        const { members } = await TeamsInfo.getPagedMembers(context)
        return context.sendActivity(`${me.name} <${me.email}> of ${me.tenantId}, one of ${members.length}`)
      }
      case 'later': {
        const reference = TurnContext.getConversationReference(a)
        return adapter.continueConversationAsync(app, reference, later => later.sendActivity('of its own accord'))
      }
    }
    return context.sendActivity(`you said: ${text}`)
  }
}

const bot = new Echo()
console.warn = console.error = () => {} // it complains of every request that it refuses

createServer((req, res) => {
  let body = ''
  req.on('data', d => { body += d })
  req.on('end', () => {
    res.status = code => { res.statusCode = code; return res }
    res.header = (name, value) => { res.setHeader(name, value); return res }
    res.send = value => { res.write(typeof value === 'string' ? value : JSON.stringify(value)); return res }
    try { req.body = JSON.parse(body) } catch { /* which it answers 400 */ }
    adapter.process(req, res, context => bot.run(context)).catch(() => { res.statusCode = 400; res.end() })
  })
}).listen(0, '127.0.0.1', function () { console.log(JSON.stringify({ port: this.address().port })) })
