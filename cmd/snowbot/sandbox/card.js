// What a message shows: plain text as text, a small part of markdown, and Adaptive Cards. Nothing is ever parsed as HTML.
import { el } from './el.js';

const safe = (url) => /^https?:\/\//i.test(url);

export function link(text, url) {
  return safe(url) ? el('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, ...[text].flat()) : text;
}

// plain is text in which addresses can be followed, as both platforms show it.
export function plain(text) {
  return el('p', { class: 'plain' }, text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]])/).map((part, n) => (n % 2 ? link(part, part) : part)));
}

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&nbsp;': '\u00a0' };

// inline turns a line of markdown into nodes.
function inline(source) {
  const out = [];
  let text = '';
  const flush = () => { if (text) out.push(text); text = ''; };
  for (let i = 0; i < source.length;) {
    const rest = source.slice(i);
    let m;
    if ((m = /^\\([\\`*_{}[\]()#+\-.!|>~<&])/.exec(rest))) { text += m[1]; i += 2; continue; }
    if ((m = /^&(amp|lt|gt|quot|nbsp|#39);/.exec(rest))) { text += entities[m[0]]; i += m[0].length; continue; }
    if ((m = /^(`+)([^`]+)\1(?!`)/.exec(rest))) { flush(); out.push(el('code', {}, m[2])); i += m[0].length; continue; }
    if ((m = /^\[((?:\\.|[^\]\\])*)\]\(([^\s)]+)\)/.exec(rest))) { flush(); out.push(link(inline(m[1]), m[2].replace(/\\(.)/g, '$1'))); i += m[0].length; continue; }
    if ((m = /^(\*\*|__)(?=\S)((?:\\.|(?!\1)[^\\])+?)\1/.exec(rest))) { flush(); out.push(el('strong', {}, inline(m[2]))); i += m[0].length; continue; }
    if ((m = /^([*_])(?=\S)((?:\\.|(?!\1)[^\\])+?)\1(?!\w)/.exec(rest)) && !/\w$/.test(text)) { flush(); out.push(el('em', {}, inline(m[2]))); i += m[0].length; continue; }
    if ((m = /^~~((?:\\.|[^~\\])+)~~/.exec(rest))) { flush(); out.push(el('s', {}, inline(m[1]))); i += m[0].length; continue; }
    text += source[i++];
  }
  flush();
  return out;
}

// markdown turns a message of that format into blocks.
export function markdown(source) {
  const blocks = [];
  let list = null;
  let lines = [];
  const paragraph = () => {
    if (!lines.length) return;
    const p = el('p');
    lines.forEach((l, n) => {
      p.append(...inline(l.text));
      if (n < lines.length - 1) p.append(l.hard ? el('br') : ' ');
    });
    blocks.push(p);
    lines = [];
  };
  const all = source.replace(/\r\n?/g, '\n').split('\n');
  for (let n = 0; n < all.length; n++) {
    const line = all[n];
    let m;
    if (/^\s*```/.test(line)) {
      paragraph(); list = null;
      const code = [];
      while (++n < all.length && !/^\s*```/.test(all[n])) code.push(all[n]);
      blocks.push(el('pre', {}, code.join('\n')));
    } else if ((m = /^\s*([-*+]|\d+[.)])\s+(.*)$/.exec(line))) {
      paragraph();
      const kind = /\d/.test(m[1]) ? 'ol' : 'ul';
      if (!list || list.localName !== kind) { list = el(kind); blocks.push(list); }
      list.append(el('li', {}, inline(m[2].trimEnd())));
    } else if (!line.trim()) {
      paragraph();
      if (!/^\s*([-*+]|\d+[.)])\s/.test(all[n + 1] || '')) list = null;
    } else if ((m = /^(#{1,6})\s+(.*)$/.exec(line))) {
      paragraph(); list = null;
      blocks.push(el('p', {}, el('strong', {}, inline(m[2]))));
    } else if ((m = /^\s*>\s?(.*)$/.exec(line))) {
      paragraph(); list = null;
      blocks.push(el('blockquote', {}, inline(m[1])));
    } else {
      list = null;
      lines.push({ text: line.trim().replace(/\\$/, ''), hard: / {2,}$|\\$/.test(line) });
    }
  }
  paragraph();
  return blocks;
}

// A picture of the sandbox's own host is one of its files; any other is not fetched, but named and linked.
function picture(e) {
  const own = /^https:\/\/pictures\.example\.com\/([\w-]+\.svg)$/.exec(e.url || '');
  const alt = e.altText || 'Picture';
  if (own) return el('img', { src: `/${own[1]}`, alt, class: e.size === 'small' ? 'small' : '' });
  return el('span', { class: 'no-picture' }, '🖼 ', link(alt, e.url || ''));
}

function choices(e) {
  if (e.style !== 'expanded' && !e.isMultiSelect) {
    const select = el('select', { name: e.id, 'aria-label': e.label || e.id, testid: `card-input-${e.id}` },
      el('option', { value: '' }, e.placeholder || ''), (e.choices || []).map((c) => el('option', { value: c.value }, c.title)));
    return select;
  }
  return el('div', { role: 'group', 'aria-label': e.label || e.id, class: 'choices' }, (e.choices || []).map((c) => el('label', {},
    el('input', { type: e.isMultiSelect ? 'checkbox' : 'radio', name: e.id, value: c.value, testid: `card-choice-${c.value}` }), ' ', c.title)));
}

function element(e) {
  switch (e.type) {
    case 'TextBlock':
      return el('div', { class: `text ${e.weight === 'bolder' ? 'bolder' : ''} ${/^(medium|large)/.test(e.size || '') ? 'medium' : ''} ${e.isSubtle ? 'subtle' : ''}` }, markdown(e.text || ''));
    case 'Image':
      return picture(e);
    case 'FactSet':
      return el('dl', { class: 'facts' }, (e.facts || []).map((f) => [el('dt', {}, inline(f.title || '')), el('dd', {}, inline(f.value || ''))]));
    case 'Table':
      return el('div', { class: 'scroll' }, el('table', {}, (e.rows || []).map((r, n) => el('tr', {}, (r.cells || []).map((c) =>
        el(n === 0 && e.firstRowAsHeader !== false ? 'th' : 'td', {}, (c.items || []).map(element)))))));
    case 'Container': case 'Column': case 'TableCell':
      return el('div', {}, (e.items || []).map(element));
    case 'ColumnSet':
      return el('div', { class: 'columns' }, (e.columns || []).map(element));
    case 'ActionSet':
      return el('div', { class: 'actions' }, (e.actions || []).map(action));
    case 'Input.ChoiceSet':
      return el('div', { class: 'field' }, e.label ? el('span', { class: 'label' }, e.label) : null, choices(e));
    case 'Input.Date': case 'Input.Time': case 'Input.Text': case 'Input.Number': {
      const kind = e.type.slice(6).toLowerCase();
      return el('label', { class: 'field' }, e.label ? el('span', { class: 'label' }, e.label) : null,
        el('input', { type: kind, name: e.id, value: e.value, placeholder: e.placeholder, testid: `card-input-${e.id}` }));
    }
    default:
      return el('div', { class: 'subtle' }, `(${e.type})`);
  }
}

function action(a) {
  if (a.type === 'Action.OpenUrl') {
    return safe(a.url) ? el('a', { class: 'button', href: a.url, target: '_blank', rel: 'noopener noreferrer', testid: 'card-link' }, a.title || a.url) : null;
  }
  const verb = a.data && a.data.snowbot;
  return el('button', { type: 'submit', testid: `card-${verb || 'submit'}`, 'data-action': JSON.stringify(a.data ?? {}) }, a.title || 'Submit');
}

// card makes an Adaptive Card. submit is called with the value that Teams would send.
export function card(content, submit) {
  const required = (content.body || []).filter((e) => e.isRequired);
  const warning = el('div', { class: 'warning', role: 'alert', hidden: true });
  const form = el('form', { class: 'card', testid: 'card', novalidate: true },
    (content.body || []).map(element), warning,
    (content.actions || []).length ? el('div', { class: 'actions' }, content.actions.map(action)) : null);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const value = JSON.parse(event.submitter?.dataset.action || '{}');
    for (const name of new Set([...form.elements].map((f) => f.name).filter(Boolean))) {
      value[name] = new FormData(form).getAll(name).join(',');
    }
    const missing = required.find((e) => !value[e.id]);
    warning.hidden = !missing;
    if (missing) { warning.textContent = missing.errorMessage || 'Please fill this in'; return; }
    const buttons = form.querySelectorAll('button');
    buttons.forEach((b) => { b.disabled = true; });
    try { await submit(value); } finally { buttons.forEach((b) => { b.disabled = false; }); }
  });
  return form;
}
