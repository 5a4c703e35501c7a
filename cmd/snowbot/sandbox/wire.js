// The strip of requests at the bottom, newest first.
import { el } from './el.js';

const rows = document.getElementById('wire');
const quiet = document.getElementById('wire-quiet');
const kept = 300;

const parse = (text) => { try { return JSON.parse(text); } catch { return undefined; } };
const cut = (text, n = 110) => (text.length > n ? `${text.slice(0, n)}…` : text);

// files names what came with a message.
const files = (all) => (all || []).filter((a) => !/^text\/html/.test(a.contentType || '')).map((a) => `📎 ${a.name || a.contentType}`).join(' ');

// about says in words what a request is, and whether it is one of those that hide what matters.
function about(w) {
  const path = w.path.replace(/^https?:\/\/[^/]+/, '');
  if (/oauth|token|openid|\.well-known|keys/i.test(path)) return ['credentials', true];
  if (w.method === 'GET' && /members|conversations/.test(path)) return ['look-up of a person', true];
  if (w.method === 'GET') return ['look-up', true];
  const body = parse(w.request);
  if (!body) return [/… \(cut\)$/.test(w.request) ? 'too long to be kept whole' : w.request ? 'not JSON' : '', false];
  if (body.type === 'typing') return ['typing', true];
  if (body.type === 'message') {
    const card = (body.attachments || []).find((a) => /adaptive/.test(a.contentType || ''));
    const what = body.text || (card ? `card: ${body.summary || 'Adaptive Card'}` : body.value ? `button ${JSON.stringify(body.value)}` : files(body.attachments) || 'message');
    return [w.method === 'PUT' ? `update · ${what}` : what, false];
  }
  if (body.type) return [body.action ? `${body.type} ${body.action}` : body.type, false];
  if (body.action) {
    const text = Array.isArray(body.message) ? body.message.map((m) => m.status || m.text).join(', ') : body.message && body.message.text;
    return [[body.action, text].filter(Boolean).join(' · '), /^(TYPING|VIEWING)$/.test(body.action)];
  }
  if (Array.isArray(body.body) || body.status) {
    const items = Array.isArray(body.body) ? body.body : [];
    const words = items.map((i) => i.actionType || [i.uiType, i.value && typeof i.value === 'string' ? i.value : i.message || i.label].filter(Boolean).join(' '));
    const typing = items.length > 0 && items.every((i) => /TypingIndicator/.test(i.actionType || ''));
    const flags = ['agentChat', 'completed', 'takeControl'].filter((f) => body[f] && !(f === 'agentChat'));
    return [[body.status, ...words, ...flags].filter(Boolean).join(' · '), typing];
  }
  if (body.message && body.message.text) return [body.message.text, false];
  if (body.message && body.message.attachment) return [`📎 ${body.message.attachment.fileName}`, false];
  return [Object.keys(body).join(', '), false];
}

function pretty(text) {
  const value = parse(text);
  return value === undefined ? text : JSON.stringify(value, null, 2);
}

function row(w) {
  const [what, noise] = about(w);
  const path = w.path.replace(/^https?:\/\/[^/]+/, '');
  const good = w.status >= 200 && w.status < 300;
  const detail = el('div', { class: 'detail', hidden: true });
  const head = el('button', { type: 'button', class: 'line', 'aria-expanded': 'false', testid: 'wire-line' },
    el('time', {}, new Date(w.at).toLocaleTimeString('en-GB', { hour12: false }) + `.${String(new Date(w.at).getMilliseconds()).padStart(3, '0')}`),
    el('span', { class: 'parties' }, el('span', { class: `p ${w.from}` }, w.from), ' → ', el('span', { class: `p ${w.to}` }, w.to)),
    el('span', { class: 'method' }, w.method),
    el('span', { class: 'path', title: path }, path),
    el('span', { class: `status ${good ? 'good' : 'bad'}` }, w.status ? String(w.status) : 'none'),
    el('span', { class: 'ms' }, `${w.ms < 10 ? w.ms.toFixed(1) : Math.round(w.ms)} ms`),
    el('span', { class: 'what' }, w.fault ? el('b', { class: 'fault' }, w.fault) : null, w.note ? el('b', { class: 'note' }, w.note) : null, cut(what)));
  head.addEventListener('click', () => {
    if (!detail.firstChild) {
      detail.append(
        el('div', {}, el('h4', {}, 'Request'), el('pre', { testid: 'wire-request' }, w.request ? pretty(w.request) : '(empty)')),
        el('div', {}, el('h4', {}, w.status ? `Answer ${w.status}` : 'No answer'), el('pre', { testid: 'wire-response' }, w.response ? pretty(w.response) : '(empty)')));
    }
    detail.hidden = !detail.hidden;
    head.setAttribute('aria-expanded', String(!detail.hidden));
  });
  return el('div', { class: `row ${w.from === 'snowbot' ? 'from-bot' : 'to-bot'} ${noise ? 'noise' : ''}`, 'data-seq': w.seq }, head, detail);
}

export function wire(entries, whole) {
  const stay = rows.scrollTop > 4 ? rows.scrollHeight - rows.scrollTop : 0;
  if (whole) rows.replaceChildren();
  for (const w of entries) rows.prepend(row(w));
  while (rows.children.length > kept) rows.lastChild.remove();
  if (stay) rows.scrollTop = rows.scrollHeight - stay; // who reads is not moved
}

const filter = () => rows.classList.toggle('quiet', quiet.checked);
quiet.addEventListener('change', filter);
filter();
document.getElementById('wire-clear').addEventListener('click', () => rows.replaceChildren());
const fold = document.getElementById('wire-fold');
fold.addEventListener('click', () => {
  const folded = document.body.classList.toggle('folded');
  fold.setAttribute('aria-expanded', String(!folded));
  fold.textContent = folded ? 'Unfold' : 'Fold';
});
