// Adaptive Cards, held against Microsoft's renderer, which reads them as a client does, and against what the renderer
// passes over in silence: misspelt properties and blocks without anything to see.
import { createRequire } from 'node:module'

// The package's own entry point does not load in Node.
const cards = createRequire(import.meta.url)('adaptivecards/dist/adaptivecards.js')

const newest = cards.Versions.v1_5 // of what bots may send in Teams
const maxActions = 6

// Children of elements, which the renderer keeps apart from their other properties.
const children = {
  AdaptiveCard: ['$schema', 'body', 'actions'],
  Container: ['items'],
  ColumnSet: ['columns'],
  Column: ['items'],
  Table: ['rows', 'columns'],
  TableRow: ['cells'],
  TableCell: ['items'],
  ActionSet: ['actions'],
  ImageSet: ['images'],
  RichTextBlock: ['inlines']
}
// Objects without a type of their own, by the property that holds them.
const parts = {
  facts: ['title', 'value'],
  choices: ['title', 'value']
}
const columnOfTable = ['width', 'horizontalCellContentAlignment', 'verticalCellContentAlignment']

/** The faults of a card, parsed JSON. */
export function cardFaults (card) {
  const faults = []
  const check = (holds, fault) => { if (!holds) faults.push('card: ' + fault) }
  if (card?.type !== 'AdaptiveCard') return ['card: is none']
  const read = new cards.AdaptiveCard()
  const context = new cards.SerializationContext(newest)
  read.parse(structuredClone(card), context)
  for (let i = 0; i < context.eventCount; i++) faults.push('card: ' + context.getEventAt(i).message)
  for (const v of read.validateProperties().validationEvents) faults.push('card: ' + v.message)
  const [major, minor] = String(card.version).split('.').map(Number)
  check(major === 1 && minor <= 5, `version ${JSON.stringify(card.version)}`)
  check(Array.isArray(card.body) && card.body.length > 0, 'without a body')
  check((card.actions ?? []).length <= maxActions, `more than ${maxActions} actions`)
  const ids = []
  walk(card, check, ids)
  check(new Set(ids).size === ids.length, 'two inputs with one id')
  return faults
}

// The names that the renderer's own schema knows, by the type of the element. Some types are made by their parents only.
const known = new Map()
function propertiesOf (type) {
  if (known.has(type)) return known.get(type)
  const unregistered = ['AdaptiveCard', 'TableRow', 'TableCell', 'Column']
  const object = unregistered.includes(type)
    ? new cards[type]()
    : cards.GlobalRegistry.elements.createInstance(type, newest) ?? cards.GlobalRegistry.actions.createInstance(type, newest)
  const names = new Set(['fallback', ...(children[type] ?? [])])
  const schema = object?.getSchema()
  for (let i = 0; i < (schema?.getCount() ?? 0); i++) names.add(schema.getItemAt(i).name)
  known.set(type, names)
  return names
}

function walk (e, check, ids) {
  const names = propertiesOf(e.type)
  for (const name of Object.keys(e)) check(names.has(name), `${e.type} knows no "${name}"`)
  const say = s => typeof s === 'string' && s.trim() !== ''
  switch (e.type) {
    case 'TextBlock':
      check(typeof e.text === 'string' && e.text !== '', 'TextBlock without text')
      break
    case 'Image':
      check(/^https:/.test(e.url ?? ''), 'Image that is not on https')
      check(say(e.altText), 'Image without words for those who do not see it')
      break
    case 'FactSet':
      check((e.facts ?? []).length > 0, 'FactSet without facts')
      break
    case 'Table':
      for (const row of e.rows ?? []) check(row.cells?.length === e.columns?.length, 'row that is not as wide as its table')
      for (const c of e.columns ?? []) for (const name of Object.keys(c)) check(columnOfTable.includes(name), `column knows no "${name}"`)
      break
    case 'Action.OpenUrl':
      check(/^https?:/.test(e.url ?? ''), 'Action.OpenUrl that leads nowhere')
      break
  }
  if (e.type?.startsWith('Action.')) check(say(e.title), `${e.type} without a title`)
  if (e.type?.startsWith('Input.')) {
    ids.push(e.id)
    check(say(e.id), `${e.type} without an id`)
    check(say(e.label), `${e.type} without a label`)
    check(!e.isRequired || say(e.errorMessage), `${e.type} is required and does not say so`)
    check(e.type !== 'Input.ChoiceSet' || (e.choices ?? []).length > 0, 'Input.ChoiceSet without choices')
  }
  for (const [list, fields] of Object.entries(parts)) {
    for (const p of e[list] ?? []) {
      for (const name of Object.keys(p)) check(fields.includes(name), `${list} know no "${name}"`)
      for (const name of fields) check(say(p[name]), `${list} without a ${name}`)
    }
  }
  for (const list of ['body', 'actions', 'items', 'rows', 'cells', 'images', ...(e.type === 'ColumnSet' ? ['columns'] : [])]) {
    for (const child of e[list] ?? []) walk(child, check, ids)
  }
}
