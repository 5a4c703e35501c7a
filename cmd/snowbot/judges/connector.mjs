// Calls a Connector with botframework-connector's own client. Standard input is one JSON object,
// {serviceUrl, token, conversation, member, bot, tenant, activity, more}; each call is answered with a line {call, id, error}.
// With more set it also makes the calls that our own client has no use for, and some that have to be refused.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { ConnectorClient } = createRequire(import.meta.url)('botframework-connector')

for await (const line of createInterface({ input: process.stdin })) {
  const { serviceUrl, token, conversation, member, bot, tenant, activity, more } = JSON.parse(line)
  const credentials = {
    signRequest: async request => {
      request.headers.set('Authorization', 'Bearer ' + token)
      return request
    }
  }
  const { conversations } = new ConnectorClient(credentials, { baseUri: serviceUrl, noRetryPolicy: true })
  const call = async (name, ask) => {
    try {
      const answer = await ask()
      console.log(JSON.stringify({ call: name, id: answer?.id ?? (answer?.members ?? answer)?.[0]?.id ?? '' }))
      return answer?.id
    } catch (err) {
      console.log(JSON.stringify({ call: name, error: `${err.statusCode} ${err.code}` }))
    }
  }
  const id = await call('send', () => conversations.sendToConversation(conversation, activity))
  await call('reply', () => conversations.replyToActivity(conversation, id, { ...activity, replyToId: id }))
  await call('typing', () => conversations.sendToConversation(conversation, { ...activity, type: 'typing', text: undefined }))
  await call('update', () => conversations.updateActivity(conversation, id, { ...activity, text: 'changed' }))
  await call('delete', () => conversations.deleteActivity(conversation, id))
  // People are members of a channel, not of a thread in it.
  await call('member', () => conversations.getConversationMember(conversation.split(';')[0], member))
  await call('create', () => conversations.createConversation({
    isGroup: false, bot: { id: bot }, members: [{ id: member }], tenantId: tenant, channelData: { tenant: { id: tenant } }
  }))
  if (!more) continue
  await call('again', () => conversations.sendToConversation(conversation, activity))
  await call('members', () => conversations.getConversationMembers(conversation))
  await call('paged members', () => conversations.getConversationPagedMembers(conversation, { pageSize: 50 }))
  await call('unknown conversation', () => conversations.sendToConversation('a:unknown', { type: 'message', text: 'x' }))
  await call('unknown member', () => conversations.getConversationMember(conversation, '29:unknown'))
  await call('unknown activity', () => conversations.updateActivity(conversation, '1', { type: 'message', text: 'x' }))
}
