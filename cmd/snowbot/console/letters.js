// What was given up: a row each, its attempts, and what can be done about it.
import { el } from './el.js';
import { ask, complain, when } from './api.js';

const rows = document.getElementById('letters');
const note = document.getElementById('letters-note');
const open = new Set(); // the ids whose attempts are shown

const changed = () => document.dispatchEvent(new Event('snowbot-changed'));
const at = (id) => `dead-letters/${encodeURIComponent(id)}`;

async function retry(letter) {
  try {
    await ask('POST', `${at(letter.id)}/retry`);
  } catch (refusal) {
    if (refusal.code !== 'session_over') { complain(refusal.message); return; }
    if (!confirm('The session it belongs to is over. Whoever gets it may wonder. Send it anyway?')) return;
    try {
      await ask('POST', `${at(letter.id)}/retry`, { force: true });
    } catch (again) { complain(again.message); return; }
  }
  changed();
}

async function drop(letter) {
  if (!confirm('Remove it for good? Its words are then lost.')) return;
  try {
    await ask('DELETE', at(letter.id));
  } catch (refusal) { complain(refusal.message); return; }
  changed();
}

function toggle(letter) {
  if (!open.delete(letter.id)) open.add(letter.id);
  changed();
}

async function attempts(letter) {
  const { attempts: made = [], accepted, session } = await ask('GET', at(letter.id));
  return el('tr', { class: 'attempts', testid: 'attempts' }, el('td', { colspan: 7 },
    el('p', { class: 'id' }, `letter ${letter.id} · delivery ${letter.delivery}${session ? ` · session ${session}` : ''} · accepted ${when(accepted)} · ${letter.bodyBytes} bytes`),
    made.length ? el('ol', {}, made.map((a) => el('li', {}, el('time', {}, when(a.at)), ' ', a.outcome))) : el('p', { class: 'subtle' }, 'It was never tried.')));
}

function row(letter) {
  const button = (testid, text, title, act, kind = '') => el('button', { type: 'button', testid, title, class: kind, onclick: act }, text);
  return el('tr', { testid: 'letter' },
    el('td', {}, when(letter.at)), el('td', {}, letter.reason), el('td', {}, letter.direction || '(event)'), el('td', {}, letter.kind),
    el('td', { class: 'number' }, String(letter.failed)), el('td', { class: 'id' }, letter.conversation),
    el('td', { class: 'tools' },
      button('letter-show', open.has(letter.id) ? 'Hide' : 'Attempts', 'Every try and what came of it.', () => toggle(letter)),
      letter.direction ? button('letter-retry', 'Send again', 'Under the id it had.', () => retry(letter)) : null,
      button('letter-drop', 'Drop', 'Remove it for good.', () => drop(letter), 'danger')));
}

// showLetters shows the oldest of those that the filter chooses.
export async function showLetters() {
  const page = await ask('GET', 'dead-letters', {
    limit: 100, conversation: document.getElementById('by-conversation').value.trim(), reason: document.getElementById('by-reason').value.trim(),
  });
  const fresh = [];
  for (const letter of page.deadLetters) {
    fresh.push(row(letter));
    if (open.has(letter.id)) fresh.push(await attempts(letter));
  }
  rows.replaceChildren(...fresh);
  note.textContent = !page.deadLetters.length ? 'None.' : page.next ? 'There are more; snowbot dead-letters lists them all, and retries or drops many at once.' : '';
}
