// The agent's side: an inbox, a chat, and what is known of the employee.
import { el } from './el.js';
import { link, plain } from './card.js';
import { post, queue, composer, fileButton, sync, follow, typingDots, clock, initials } from './api.js';

const list = document.getElementById('chats');
const bar = document.getElementById('chat-bar');
const log = document.getElementById('agent-log');
const form = document.getElementById('agent-form');
const box = document.getElementById('agent-input');
const aside = document.getElementById('context');
const menu = document.getElementById('items');
const queueTools = document.getElementById('queue');
const send = queue();

let me = '';
let selected = '';
let shownBar = '';
let shownAside = '';
let latest = null;
let again = 0;
let quiet = 0;
let accepting = ''; // the chat that is being accepted: what is sent goes after it
let closed = 'Nobody has asked for a person yet.'; // why nothing can be sent

const menuItems = [
  ['picture', 'Picture'], ['link', 'Link'], ['picker', 'Question with buttons'], ['choices', 'Question with several answers'],
  ['card', 'Record card'], ['table', 'Table'], ['html', 'Formatted text (HTML)'], ['date', 'Ask for a date'], ['time', 'Ask for date and time'],
];

export function startDesk(name) {
  me = name;
  composer(form, (text) => { clearTimeout(quiet); log.rejoin(); send('agent/say', { chat: selected, text }); }, () => {
    post('agent/typing', { chat: selected, on: true });
    clearTimeout(quiet);
    quiet = setTimeout(() => post('agent/typing', { chat: selected, on: false }), 5000);
  }, () => (accepting && accepting === selected ? '' : closed));
  fileButton(document.getElementById('agent-file'), () => closed, (f) => { log.rejoin(); send('agent/file', { chat: selected, file: f }); });
  follow(log);
  menu.querySelector('div').append(...menuItems.map(([what, title]) => el('button', {
    type: 'button', testid: `item-${what}`, onclick: () => { menu.open = false; send('agent/item', { chat: selected, what }); },
  }, title)));
  document.addEventListener('click', (e) => { if (!menu.contains(e.target)) menu.open = false; });
  document.addEventListener('keydown', (e) => { if (e.key === 'Escape') menu.open = false; });
}

const reasons = {
  agent: 'by the agent', user: 'by the employee', cancelled: 'cancelled', 'no agents': 'nobody there', idle: 'long silence', failed: 'after a failure',
};

function entry(c) {
  const last = (c.lines || []).at(-1);
  const about = { queued: `since ${clock(c.queuedAt)}`, live: last ? wordsOf(last) : 'live' }[c.state] || reasons[c.reason] || 'ended';
  return el('li', {}, el('button', { type: 'button', class: `chat ${c.state}`, testid: 'chat', 'data-chat': c.id, onclick: () => { selected = c.id; showDesk(latest); box.focus(); } },
    el('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(c.userName || c.email)),
    el('span', { class: 'who' }, el('strong', {}, c.userName || c.email),
      el('small', { title: about }, el('span', { class: `state ${c.state}`, testid: `chat-${c.state}` }, c.state), ' ', about))));
}

// plainOf is HTML as the words it shows.
function plainOf(html) {
  const words = html.replace(/<script[\s\S]*?<\/script>/g, '').replace(/<li[^>]*>/g, '\n• ').replace(/<\/?(p|div|ul|ol|br|h\d)[^>]*>/g, '\n').replace(/<[^>]*>/g, '');
  return words.replace(/\n+/g, '\n').trim();
}

// wordsOf is a line in words, also when it is a picture, a card or a file.
function wordsOf(l) {
  const item = l.item;
  if (!item) return l.file ? `📎 ${l.file.name}` : l.text;
  const html = item.uiType === 'OutputHtml' ? plainOf(item.value) : '';
  return item.label || item.altText || html || (item.data && JSON.parse(item.data).title) || l.text || item.uiType || 'item';
}

function bubble(l) {
  const item = l.item;
  const body = el('div', { class: 'body' });
  if (item) {
    body.append(el('p', { class: 'kind' }, item.uiType || 'item'));
    const address = typeof item.value === 'string' && item.uiType === 'OutputImage' ? item.value : item.value && item.value.action;
    body.append(address ? el('p', { class: 'plain' }, link(wordsOf(l), address)) : plain(wordsOf(l)));
    if (item.options) body.append(el('p', { class: 'subtle' }, item.options.map((o) => o.label).join(' · ')));
  } else if (l.file) {
    const at = `/desk/${selected}/${l.id}`;
    const picture = /^image\/(png|jpeg|gif)$/.test(l.file.contentType);
    body.append(el('a', { href: at, target: '_blank', rel: 'noopener noreferrer', testid: 'desk-file' }, picture ? el('img', { src: at, alt: l.file.name }) : `📎 ${l.file.name}`));
  } else {
    body.append(plain(l.text));
  }
  return body;
}

// ticks says what became of an agent's line.
function ticks(l) {
  const mark = (kind, text, title) => el('span', { class: `tick ${kind}`, title, testid: `tick-${kind}` }, text);
  if (l.receipt === 'external_error') return mark('failed', 'Failed', 'The employee did not get it.');
  if (l.receipt === 'sent_to_user') return mark('sent', '✓✓', 'Shown in Teams.');
  if (l.answered >= 200 && l.answered < 300) return mark('taken', '✓', 'Taken by the service, durably. Not in Teams yet.');
  if (l.answered) return mark('failed', `Refused (${l.answered})`, 'The service did not take it.');
  if (Date.now() - new Date(l.at).getTime() > 1500) return mark('failed', 'Not taken', 'The service did not answer. ServiceNow does not try again.');
  clearTimeout(again);
  again = setTimeout(() => { log.querySelectorAll('.pending').forEach((n) => { n.print = ''; }); showDesk(latest); }, 1600);
  return mark('pending', '…', 'On its way.');
}

function line(l) {
  if (l.from === 'system') return el('div', { class: 'system', testid: 'line-system' }, l.text, ' ', el('time', {}, clock(l.at)));
  const own = l.from === 'agent';
  const tick = own ? ticks(l) : null;
  return el('article', { class: `message ${own ? 'own' : 'other'} ${tick && tick.dataset.testid === 'tick-pending' ? 'pending' : ''}`, testid: own ? 'line-agent' : 'line-user' },
    el('div', { class: 'bubble' },
      el('div', { class: 'meta' }, el('span', {}, own ? l.agentName || 'Agent' : latestName()), ' ', el('time', {}, clock(l.at)), l.selected ? ' · chosen' : '', l.updated ? ' · edited' : '', ' ', tick),
      bubble(l)));
}

const current = () => (latest ? latest.chats.find((c) => c.id === selected) : undefined);
const latestName = () => (current() || {}).userName || 'Employee';

function showBar(c, agents) {
  const print = c ? [c.id, c.state, c.agentName, c.waitTime, c.reason, agents].join('|') : '';
  if (print === shownBar && bar.firstChild) return;
  shownBar = print;
  queueTools.hidden = !c || c.state !== 'queued';
  if (!c) { bar.replaceChildren(el('div', { class: 'who' }, el('strong', {}, 'No chat yet'), el('small', {}, 'It appears when an employee asks for a person'))); return; }
  const tools = el('div', { class: 'tools' });
  const button = (testid, text, title, act, kind = '') => el('button', { type: 'button', testid, title, class: kind, onclick: act }, text);
  if (c.state === 'queued') {
    const wait = el('input', { type: 'text', value: c.waitTime || '', 'aria-label': 'Wait time to report', testid: 'wait-time', title: 'What the employee is told, in ServiceNow\'s own words' });
    queueTools.replaceChildren(el('form', { class: 'inline', onsubmit: (e) => { e.preventDefault(); send('agent/wait', { chat: c.id, text: wait.value }); } },
      'Expected wait', wait, el('button', { type: 'submit', testid: 'wait-send', title: 'Report this wait time to the employee' }, 'Report')));
    tools.append(
      button('chat-accept', 'Accept', 'Take the chat: the employee is told, and gets what was said meanwhile.', () => {
        accepting = c.id;
        send('agent/accept', { chat: c.id, agent: me }).then(() => { accepting = ''; });
        box.focus();
      }, 'primary'));
  }
  if (c.state === 'live' && c.agentName === me) {
    const others = agents.filter((a) => a !== c.agentName);
    const to = el('select', { 'aria-label': 'Transfer to', testid: 'chat-transfer', title: 'Hand the chat to another agent: the employee is told the new name.', onchange: (e) => { if (e.target.value) send('agent/transfer', { chat: c.id, agent: e.target.value }); } },
      el('option', { value: '' }, 'Transfer …'), others.map((a) => el('option', { value: a }, a)));
    tools.append(to, button('chat-end', 'End', 'End the chat. What is in the box goes along as last words.', () => {
      send('agent/end', { chat: c.id, text: box.value });
      box.value = '';
    }, 'danger'));
  }
  const where = { queued: `waiting since ${clock(c.queuedAt)}`, live: `with ${c.agentName}`, ended: ['ended', reasons[c.reason]].filter(Boolean).join(': ') };
  bar.replaceChildren(el('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(c.userName || c.email)),
    el('div', { class: 'who' }, el('strong', { testid: 'chat-user' }, c.userName || c.email), el('small', { testid: 'chat-where' }, where[c.state])), tools);
}

function showContext(c) {
  const print = c ? JSON.stringify([c.contextVariables, c.history, c.sessionId, c.email]) : '';
  if (print === shownAside && aside.firstChild) return;
  shownAside = print;
  if (!c) { aside.replaceChildren(el('p', { class: 'subtle' }, 'What the agent knows of the employee appears here.')); return; }
  const facts = (o) => el('dl', {}, Object.entries(o || {}).map(([k, v]) => [el('dt', {}, k), el('dd', {}, typeof v === 'string' ? v : JSON.stringify(v))]));
  aside.replaceChildren(
    el('h3', {}, 'Employee'), facts({ name: c.userName, email: c.email }),
    el('h3', {}, 'Context variables'), facts(c.contextVariables),
    el('h3', {}, 'Said before'),
    (c.history || []).length
      ? el('ol', { class: 'history', testid: 'history' }, c.history.map((h) => el('li', { class: h.bot ? 'bot' : '' }, el('b', {}, h.bot ? 'Bot' : h.name || 'Employee'), ' ', h.text)))
      : el('p', { class: 'subtle' }, 'Nothing.'),
    el('h3', {}, 'Session'), el('p', { class: 'id' }, c.sessionId));
}

export function showDesk(state) {
  if (!state) return;
  latest = state;
  document.getElementById('agent-name').textContent = `${me}'s desk`;
  const open = state.chats.filter((c) => c.state !== 'ended');
  const now = current();
  if (!now || (now.state === 'ended' && open.length)) {
    const next = open.find((c) => c.state === 'queued') || open.find((c) => c.agentName === me) || state.chats[0];
    selected = next ? next.id : '';
  }
  const c = current();
  sync(list, state.chats.map((x) => ({ ...x, contextVariables: undefined, history: undefined, userTypingUntil: undefined })), (x) => x.id, entry);
  list.querySelectorAll('.chat').forEach((n) => n.setAttribute('aria-current', String(n.dataset.chat === selected)));
  showBar(c, [...state.agents, ...(state.more.agents || [])]);
  showContext(c);
  if (log.dataset.chat !== selected) { log.replaceChildren(); log.dataset.chat = selected; }
  sync(log, c ? c.lines || [] : [], (l) => l.id, line);
  typingDots(document.getElementById('agent-typing'), latestName(), c && c.state === 'live' ? c.userTypingUntil : 0);
  const mine = c && c.state === 'live' && c.agentName === me;
  menu.classList.toggle('off', !mine);
  closed = !c ? 'Nobody has asked for a person yet.' : c.state === 'queued' ? 'Accept the chat to write.' : c.state === 'ended' ? 'This chat is over.' : mine ? '' : `${c.agentName} has this chat.`;
  box.placeholder = closed || `Write to ${latestName()}`;
  const tickets = document.getElementById('tickets');
  tickets.hidden = !state.incidents.length;
  tickets.replaceChildren(el('strong', {}, 'Tickets'), ...state.incidents.map((i) => el('div', { testid: 'ticket' }, `${i.number} ${i.title}`)));
}
