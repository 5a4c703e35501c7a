// Drives Chromium for the end-to-end tests. Standard input has one order a line, {do, …}; each is answered with one line,
// {} or {error}. Selectors are Playwright's; what is waited for may take as long as the order's limit, in milliseconds.
// The arguments are the path of the browser and the size of its window.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { chromium } = createRequire(import.meta.url)('playwright-core')

const [executablePath, width, height] = process.argv.slice(2)
// The browser's own sandbox needs privileges that containers do not have; the pages are ours.
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
const page = await browser.newPage({ viewport: { width: Number(width), height: Number(height) }, reducedMotion: 'reduce' })

const complaints = []
page.on('pageerror', err => complaints.push(err.message))
page.on('dialog', dialog => dialog.accept('a message, changed'))
// There is no internet: pictures are stood in for, and what else a page wants from elsewhere fails at once instead of late.
const picture = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180"><rect width="320" height="180" fill="#e8ebfa"/>
  <g fill="none" stroke="#5b5fc7" stroke-width="4"><rect x="90" y="30" width="140" height="120"/><path d="M110 60h100M110 85h100M110 110h60"/></g></svg>`
await page.route(url => !['127.0.0.1', 'localhost'].includes(url.hostname), route => route.request().resourceType() === 'image'
  ? route.fulfill({ contentType: 'image/svg+xml', body: picture })
  : route.abort())

const orders = {
  open: o => page.goto(o.url, { timeout: o.limit }),
  see: o => page.locator(o.selector).last().waitFor({ timeout: o.limit }),
  miss: o => page.locator(o.selector).last().waitFor({ state: 'hidden', timeout: o.limit }),
  click: o => page.locator(o.selector).last().click({ timeout: o.limit }),
  point: o => page.locator(o.selector).last().hover({ timeout: o.limit }),
  type: async o => {
    const box = page.locator(o.selector).last()
    await box.click({ timeout: o.limit })
    await box.press('End')
    await box.pressSequentially(o.text, { delay: 5 })
  },
  press: o => page.keyboard.press(o.key),
  choose: o => page.locator(o.selector).last().selectOption(o.text ?? '', { timeout: o.limit }),
  shoot: o => page.screenshot({ path: o.path, animations: 'disabled', caret: 'hide' }),
  complaints: () => { if (complaints.length > 0) throw new Error(complaints.join('\n')) }
}

for await (const line of createInterface({ input: process.stdin })) {
  const o = JSON.parse(line)
  try {
    await orders[o.do](o)
    console.log('{}')
  } catch (err) {
    const shown = await page.innerText('body').catch(() => '')
    console.log(JSON.stringify({ error: `${err.message}\nthe page shows:\n${shown.slice(-2500)}` }))
  }
}
await browser.close()
