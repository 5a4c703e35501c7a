// The page: who may see it, and what it shows every few seconds.
import { el } from './el.js';
import { ask, complain, token, when } from './api.js';
import { showLetters } from './letters.js';

const every = 5000; // milliseconds between two looks
const byId = (id) => document.getElementById(id);
const lanes = [['teams', 'waiting for Teams'], ['servicenow', 'waiting for ServiceNow'], ['bot', 'waiting for the bot'], ['ticks', 'delivery reports waiting'], ['links', 'links to files to be looked at'], ['held', 'held until an agent joins']];
let timer = 0;

function askForToken(why = '') {
  clearTimeout(timer);
  token.forget();
  byId('content').hidden = true;
  byId('leave').hidden = true;
  byId('login').hidden = false;
  byId('refused').hidden = !why;
  byId('refused').textContent = why;
  byId('token').focus();
}

async function showReady() {
  let text = 'not reachable';
  let good = false;
  try {
    const response = await fetch('/readyz', { cache: 'no-store' });
    text = (await response.text()).trim();
    good = response.ok;
  } catch { /* the text says so */ }
  const pill = byId('ready');
  pill.hidden = false;
  pill.className = `pill ${good ? 'good' : 'bad'}`;
  pill.textContent = text;
}

function count(label, n, kind = '') {
  return el('div', { class: `count ${kind}` }, el('strong', {}, String(n)), el('span', {}, label));
}

function showCounts(stats) {
  byId('version').textContent = stats.version;
  byId('counts').replaceChildren(
    count('live sessions', stats.live),
    ...lanes.map(([to, label]) => count(label, (stats.waiting || {})[to] || 0)),
    count('given up', stats.deadLetters, stats.deadLetters ? 'bad' : ''));
}

function showSessions(page) {
  byId('sessions').replaceChildren(...page.sessions.map((s) => el('tr', {},
    el('td', {}, s.status), el('td', {}, when(s.since)), el('td', {}, when(s.joined)), el('td', {}, when(s.due)),
    el('td', { class: 'id' }, s.id), el('td', { class: 'id' }, s.conversation))));
  byId('sessions-note').textContent = !page.sessions.length ? 'Nobody is talking to an agent, or waiting for one.' : page.next ? 'There are more; snowbot sessions lists them all.' : '';
}

async function show() {
  clearTimeout(timer);
  showReady();
  try {
    const [stats, sessions] = await Promise.all([ask('GET', 'stats'), ask('GET', 'sessions', { limit: 200 })]);
    byId('login').hidden = true;
    byId('content').hidden = false;
    byId('leave').hidden = false;
    showCounts(stats);
    showSessions(sessions);
    await showLetters();
  } catch (refusal) {
    if (refusal.code === 'unauthorized') {
      askForToken('That is not the admin token.');
      return;
    }
    complain(refusal.message);
  }
  timer = setTimeout(show, every);
}

byId('login').addEventListener('submit', (e) => {
  e.preventDefault();
  token.set(byId('token').value.trim());
  byId('token').value = '';
  show();
});
byId('leave').addEventListener('click', () => askForToken());
byId('filter').addEventListener('submit', (e) => { e.preventDefault(); show(); });
document.addEventListener('snowbot-changed', show);

if (token.get()) show();
else { showReady(); askForToken(); }
