// What the bots beside this file share: the platform they are told of, and the line that says where they listen.
export const { MICROSOFT_APP_ID: app, MICROSOFT_APP_PASSWORD: password, MICROSOFT_APP_TENANT_ID: tenant, BOT_OPENID_METADATA: metadata, BOT_TOKEN_URL: tokenURL } = process.env
export const login = new URL('/', metadata).href.slice(0, -1)

// accessToken fetches the bot's token once, as the frameworks' own credentials do; those insist on Microsoft's hosts.
let fetched
export const accessToken = () => (fetched ??= (async () => {
  const form = { grant_type: 'client_credentials', client_id: app, client_secret: password, scope: 'https://api.botframework.com/.default' }
  const answer = await fetch(tokenURL, { method: 'POST', body: new URLSearchParams(form) })
  if (!answer.ok) throw new Error(`no token: ${answer.status}`)
  return (await answer.json()).access_token
})())

export const listening = server => { console.log(JSON.stringify({ msg: 'listening', addr: `127.0.0.1:${server.address().port}` })) }
