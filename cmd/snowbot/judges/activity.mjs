// What the service sends to Teams, held against Microsoft's own schema of an activity, and against what that schema
// lets through although Teams does not show it as meant.
import { Activity } from '@microsoft/agents-activity'
import { cardFaults } from './card.mjs'

// The properties of an activity in the Bot Framework's schema. A misspelt one is silently ignored by Teams.
const properties = new Set(`type id timestamp localTimestamp localTimezone callerId serviceUrl channelId from conversation
  recipient textFormat attachmentLayout membersAdded membersRemoved reactionsAdded reactionsRemoved topicName
  historyDisclosed locale text speak inputHint summary suggestedActions attachments entities channelData action replyToId
  label valueType value name relatesTo code expiration importance deliveryMode listenFor textHighlights
  semanticAction`.split(/\s+/))

const types = new Set(['message', 'typing', 'event', 'trace'])
const formats = new Set(['plain', 'markdown', 'xml'])
const adaptive = 'application/vnd.microsoft.card.adaptive'
const maxBytes = 80_000 // in UTF-16; Teams refuses about 100 KB

/** What the schema finds, which goes for activities in both directions. */
export function schemaFaults (a) {
  try {
    Activity.fromObject(a)
    return []
  } catch (err) {
    return ['schema: ' + String(err.message).replace(/\s+/g, ' ')]
  }
}

/** The faults of one request: {method, path, activity}. Without a path only the activity itself is looked at. */
export function activityFaults ({ method, path, activity: a }) {
  const faults = schemaFaults(a)
  const check = (holds, fault) => { if (!holds) faults.push(fault) }
  for (const name of Object.keys(a)) check(properties.has(name), `unknown property "${name}"`)
  check(types.has(a.type), `type ${JSON.stringify(a.type)}`)
  check(a.textFormat === undefined || formats.has(a.textFormat), `textFormat ${JSON.stringify(a.textFormat)}`)
  for (const name of ['timestamp', 'localTimestamp', 'expiration']) {
    check(a[name] === undefined, `a bot sends no ${name} (Activity Protocol A2041)`)
  }
  const attachments = a.attachments ?? []
  if (a.type === 'message') {
    check((a.text ?? '').trim() !== '' || attachments.length > 0, 'message without anything to see')
    check(!a.text || attachments.length === 0, 'text and attachments in one: Teams makes two messages of it')
    check(attachments.length <= 1, 'several attachments in one: Teams makes as many messages of it')
    check(attachments.length === 0 || (a.summary ?? '').trim() !== '', 'a card without a summary notifies of nothing')
  }
  check(!/\p{Surrogate}/u.test(a.text ?? ''), 'half a character in the text')
  // In plain text somebody's words go across unchanged, whatever they are.
  // eslint-disable-next-line no-control-regex -- that is the question
  check(a.textFormat === 'plain' || !/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(a.text ?? ''), 'control character in the text')
  check(2 * JSON.stringify(a).length <= maxBytes, 'larger than Teams takes')
  for (const s of a.suggestedActions?.actions ?? []) {
    check(s.type === 'imBack', `suggested action of type ${JSON.stringify(s.type)}: Teams shows imBack only`)
    check(typeof s.value === 'string' && s.value !== '', 'suggested action that says nothing')
    check(s.title === s.value, 'suggested action whose title is not what it says') // clients differ in which they send
  }
  check((a.suggestedActions?.actions ?? []).length <= 3, 'more suggested actions than Teams shows')
  for (const x of attachments) {
    if (x.contentType === adaptive) faults.push(...cardFaults(x.content))
    // The service under test is on loopback, and so are the links to files that it gives out.
    else check(/^(https:|http:\/\/127\.0\.0\.1:\d+\/)/.test(x.contentUrl ?? ''), `attachment of ${x.contentType} without an https address`)
  }
  faults.push(...mentionFaults(a))
  if (path !== undefined) faults.push(...routeFaults(method, path, a))
  return faults
}

// A mention needs an entity of exactly its text, and markup that no entity stands for is somebody's forgery.
function mentionFaults (a) {
  const faults = []
  const mentions = (a.entities ?? []).filter(e => e.type === 'mention')
  for (const m of mentions) {
    if (!a.text?.includes(m.text)) faults.push(`mention ${JSON.stringify(m.text)} is not in the text`)
  }
  const marked = a.textFormat === 'plain' ? [] : (a.text ?? '').match(/<at>/g) ?? []
  if (marked.length > mentions.length) faults.push('mention without an entity')
  return faults
}

// Where it was sent has to agree with what is sent.
function routeFaults (method, path, a) {
  const faults = []
  const [, conversation, id] = /\/v3\/conversations\/([^/]+)\/activities(?:\/([^/]+))?$/.exec(path) ?? []
  if (conversation === undefined) return [`sent to ${path}`]
  if (a.conversation && a.conversation.id !== decodeURIComponent(conversation)) faults.push('conversation.id is not that of the address')
  if (method === 'POST' && a.id !== undefined) faults.push('a bot sends no id (Activity Protocol A2031)')
  if (method === 'PUT' && a.id !== undefined && a.id !== decodeURIComponent(id)) faults.push('id is not that of the address')
  if (a.from && !/^28:/.test(a.from.id)) faults.push(`from.id ${JSON.stringify(a.from.id)} is no bot`)
  if (a.recipient && !/^29:/.test(a.recipient.id)) faults.push(`recipient.id ${JSON.stringify(a.recipient.id)} is no person`)
  return faults
}
