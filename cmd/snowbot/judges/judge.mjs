// Reads subjects from standard input, one JSON object a line, and answers with one line for each:
//   {name, method?, path?, activity}   what was sent to Teams
//   {name, posted}                     an activity that our emulated Teams posted to a bot
//   {name, manifest}                   a Teams app manifest
// The answer is {name, faults: […], cards}. It needs no network.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import { activityFaults, schemaFaults } from './activity.mjs'

// It needs fs-extra, which its own list of dependencies forgets.
const { AppManifestUtils } = createRequire(import.meta.url)('@microsoft/app-manifest')

// The package falls back on a download when it does not hold the schema.
globalThis.fetch = () => { throw new Error('the schema of the manifest is not among those that came with the package') }

for await (const line of createInterface({ input: process.stdin })) {
  const s = JSON.parse(line)
  const cards = (s.activity?.attachments ?? []).length
  let faults
  try {
    if (s.manifest) faults = await AppManifestUtils.validateAgainstSchema(s.manifest)
    else faults = s.posted ? schemaFaults(s.posted) : activityFaults(s)
  } catch (err) {
    faults = ['judge failed: ' + err.message]
  }
  console.log(JSON.stringify({ name: s.name, faults, cards }))
}
