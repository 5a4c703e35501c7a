// Judges all that a whole test suite sent: the file that ADAPTERTEST_SENT named, which is the argument. It prints each kind
// of fault once, with the first that has it, and ends with 1 if there is any, or if the file has less than it must.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { activityFaults } from './activity.mjs'

const least = { activities: 2000, cards: 500, programs: ['bot', 'history', 'snowbot'] }

const judged = new Set()
const kinds = new Map()
const programs = new Set()
let activities = 0
let cards = 0

for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const s = JSON.parse(line)
  activities++
  cards += (s.activity?.attachments ?? []).length
  programs.add(s.name.split(',')[0])
  const key = s.method + s.path + JSON.stringify(s.activity)
  if (judged.has(key)) continue
  judged.add(key)
  for (const fault of s.activity ? activityFaults(s) : ['not JSON']) {
    if (!kinds.has(fault)) kinds.set(fault, s)
  }
}
for (const [fault, s] of kinds) console.error(`${fault}\n  ${s.name}: ${s.method} ${s.path}\n  ${JSON.stringify(s.activity)}`)
const missing = least.programs.filter(p => !programs.has(p))
if (missing.length > 0) console.error(`nothing was sent by the tests of ${missing.join(', ')}`)
console.log(`judged ${activities} activities with ${cards} cards, sent by the tests of ${[...programs].join(', ')}: ${kinds.size} faults`)
process.exitCode = kinds.size > 0 || missing.length > 0 || activities < least.activities || cards < least.cards ? 1 : 0
