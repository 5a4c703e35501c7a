// The employee's side: a chat with the bot as Teams shows it.
import { el } from './el.js';
import { card, markdown, plain } from './card.js';
import { post, queue, composer, file, fileButton, sync, follow, typingDots, clock, initials } from './api.js';

const log = document.getElementById('employee-log');
const tools = document.getElementById('employee-tools');
const form = document.getElementById('employee-form');
const box = document.getElementById('employee-input');
const send = queue();
let me = '';
let shownTools = '';
let closed = 'The app is being installed.'; // why nothing can be sent

export function startTeams(key) {
  me = key;
  follow(log);
  const sendFile = (f) => { log.rejoin(); send('employee/file', { employee: me, file: f }); };
  fileButton(document.getElementById('employee-file'), () => closed, sendFile);
  box.addEventListener('paste', async (e) => {
    const pictures = [...e.clipboardData.files].filter((f) => f.type.startsWith('image/'));
    if (!pictures.length || closed) return;
    e.preventDefault();
    for (const p of pictures) sendFile(await file(p, true));
  });
  composer(form, (text) => { log.rejoin(); send('employee/say', { employee: me, text }); }, () => post('employee/typing', { employee: me }), () => closed);
}

function attachment(a, message) {
  if (/adaptive/.test(a.contentType)) {
    return card(a.content || {}, (value) => send('employee/submit', { employee: me, replyTo: message.id, value }));
  }
  const own = /\/files\/[\w-]+$/.exec(a.contentUrl || '');
  if (own && /^image\//.test(a.contentType)) return el('a', { href: own[0], target: '_blank', rel: 'noopener noreferrer' }, el('img', { src: own[0], alt: a.name || 'Picture', testid: 'bot-picture' }));
  if (/^image\//.test(a.contentType)) return el('span', { class: 'no-picture' }, `🖼 ${a.name || 'Picture'}`);
  return el('span', { class: 'no-picture' }, `📎 ${a.name || a.contentType}`);
}

function suggested(m) {
  const actions = (m.suggested || []);
  return actions.length ? el('div', { class: 'suggested' }, actions.map((a) => el('button', {
    type: 'button', testid: 'suggested', onclick: () => send('employee/say', { employee: me, text: String(a.value ?? a.title) }),
  }, a.title))) : null;
}

function change(m) {
  const text = prompt('Change your message', m.text);
  if (text !== null && text.trim() && text !== m.text) send('employee/edit', { employee: me, message: m.id, text });
}

function message(m) {
  const body = el('div', { class: 'body' });
  if (m.text) body.append(...(m.textFormat === 'plain' ? [plain(m.text)] : markdown(m.text)));
  for (const a of m.attachments || []) if (a.contentType !== 'text/html') body.append(attachment(a, m));
  const own = !m.fromBot;
  return el('article', { class: `message ${own ? 'own' : 'other'} ${m.lost ? 'lost' : ''}`, testid: own ? 'employee-message' : 'bot-message' },
    own ? null : el('span', { class: 'avatar bot', 'aria-hidden': 'true' }, '❄'),
    el('div', { class: 'bubble' },
      el('div', { class: 'meta' },
        own && !m.lost ? el('span', { class: 'hover' },
          el('button', { type: 'button', title: 'Edit: the agent sees the corrected text', 'aria-label': 'Edit message', testid: 'message-edit', onclick: () => change(m) }, '✎'),
          el('button', { type: 'button', title: 'Delete: the agent is told', 'aria-label': 'Delete message', testid: 'message-delete', onclick: () => send('employee/delete', { employee: me, message: m.id }) }, '✕')) : null,
        el('span', {}, own ? 'You' : m.from), ' ', el('time', {}, clock(m.at)), m.edited ? ' · edited' : ''),
      body, suggested(m),
      m.lost ? el('div', { class: 'mark' }, 'Not taken by the service. ', el('button', { type: 'button', testid: 'message-again', title: 'Teams repeats a message whose answer was late', onclick: () => send('employee/again', { employee: me, message: m.id }) }, 'Send again')) : null));
}

function toolsOf(e) {
  const button = (testid, title, text, name, on) => el('button', { type: 'button', testid, title, onclick: () => post(name, { employee: me, on }) }, text);
  return [
    e.blocked
      ? button('employee-unblock', 'Let the bot write again.', 'Unblock bot', 'employee/block', false)
      : button('employee-block', 'Teams refuses what the bot sends, and tells it nothing. With the next message the agent should be told that the employee cannot be reached.', 'Block bot', 'employee/block', true),
    e.installed
      ? button('employee-uninstall', 'The bot is told that it was removed: a chat with an agent should end, and the agent be told.', 'Uninstall', 'employee/install', false)
      : button('employee-install', 'Install the app again: the bot should greet.', 'Install', 'employee/install', true),
  ];
}

export function showTeams(state) {
  const e = state.employees.find((x) => x.key === me);
  const name = document.getElementById('employee-name');
  name.textContent = e ? `${e.name}'s Teams · ${e.language}` : 'The app is being installed …';
  name.title = e ? e.email : '';
  if (!e) { log.replaceChildren(); return; }
  closed = e.blocked ? `${e.name} has blocked the bot.` : e.installed ? '' : 'The app is not installed.';
  const chat = state.chats.find((c) => c.email === e.email && c.state !== 'ended');
  const hints = { queued: 'Write, or “cancel” to stop waiting', live: 'Write, or “end chat” to leave' };
  box.placeholder = closed || (chat && hints[chat.state]) || 'Write, such as: I want to talk to a person';
  const fresh = `${e.blocked} ${e.installed}`;
  if (fresh !== shownTools) { tools.replaceChildren(...toolsOf(e)); shownTools = fresh; }
  log.dataset.initials = initials(e.name);
  sync(log, e.messages, (m) => m.id, message);
  typingDots(document.getElementById('employee-typing'), 'Snowbot', e.typingUntil);
}
