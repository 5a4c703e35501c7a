// Commands of the page, and where their failures show.
import { el } from './el.js';

const toast = document.getElementById('toast');
let timer = 0;

export function complain(text) {
  toast.replaceChildren(el('span', {}, text));
  toast.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { toast.hidden = true; }, 6000);
}

// post sends a command. It returns the answer, or undefined after the page has shown why not.
export async function post(name, body = {}) {
  try {
    const response = await fetch(`/api/${name}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    const answer = await response.json();
    if (response.ok) return answer;
    complain(answer.error || `The sandbox answered ${response.status}.`);
  } catch {
    complain('The sandbox does not answer. Is it still running?');
  }
  return undefined;
}

// queue returns a post that keeps the order of what one person sends.
export function queue() {
  let last = Promise.resolve();
  return (name, body) => { last = last.then(() => post(name, body)); return last; };
}

// composer makes a box in which Enter sends and Shift+Enter breaks the line. typing is called while somebody types.
// It keeps the words while ready says that they cannot be sent, and shows why.
export function composer(form, send, typing, ready = () => '') {
  const box = form.querySelector('textarea');
  let told = 0;
  const fit = () => { box.style.height = 'auto'; box.style.height = `${Math.min(box.scrollHeight, 140)}px`; };
  const go = () => {
    const text = box.value;
    if (!text.trim()) return;
    const why = ready();
    if (why) { complain(why); return; }
    box.value = '';
    told = 0;
    fit();
    send(text);
  };
  form.addEventListener('submit', (e) => { e.preventDefault(); go(); });
  box.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); go(); }
  });
  box.addEventListener('input', () => {
    fit();
    if (box.value && !ready() && Date.now() - told > 2500) { told = Date.now(); typing(); }
  });
}

// file reads what somebody chose or pasted, as commands take it.
export async function file(f, pasted = false) {
  const url = await new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(f);
  });
  return { name: f.name, type: f.type || 'application/octet-stream', data: url.slice(url.indexOf(',') + 1), pasted };
}

// fileButton is a paper clip: choosing files calls send with each.
export function fileButton(input, ready, send) {
  input.addEventListener('change', async () => {
    const why = ready();
    if (why) complain(why);
    else for (const f of input.files) send(await file(f));
    input.value = '';
  });
}

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
export const initials = (name) => name.split(/\s+/).map((w) => w[0]).slice(0, 2).join('').toUpperCase();

// sync makes the children of a box those of a list, and touches only what has changed, so that what somebody fills in stays.
export function sync(box, list, key, make) {
  const old = new Map([...box.children].map((n) => [n.dataset.key, n]));
  let changed = false;
  let before = null;
  for (const entry of list) {
    const id = key(entry);
    const print = JSON.stringify(entry);
    let node = old.get(id);
    if (!node || node.print !== print) {
      const fresh = make(entry);
      fresh.dataset.key = id;
      fresh.print = print;
      if (node) node.replaceWith(fresh);
      node = fresh;
      changed = true;
    }
    const place = before ? before.nextSibling : box.firstChild;
    if (node !== place) box.insertBefore(node, place);
    old.delete(id);
    before = node;
  }
  for (const gone of old.values()) { gone.remove(); changed = true; }
  if (changed && box.follow) box.follow();
}

// follow keeps a log at its end while whoever reads it is there, also when a picture or the window changes its size.
// box.rejoin goes there: who writes wants to see what becomes of it.
export function follow(box) {
  let end = true;
  let last = 0;
  box.follow = () => { if (end) { box.scrollTop = box.scrollHeight; last = box.scrollTop; } };
  box.rejoin = () => { end = true; box.follow(); };
  box.addEventListener('scroll', () => { // comes late, and more may have been added since: only going up means reading
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 50) end = true;
    else if (box.scrollTop < last - 1) end = false;
    last = box.scrollTop;
  });
  box.addEventListener('load', box.follow, true);
  new ResizeObserver(box.follow).observe(box);
}

const dots = new Map();

// typingDots shows dots until a time.
export function typingDots(node, who, until) {
  clearTimeout(dots.get(node));
  const left = new Date(until).getTime() - Date.now();
  node.hidden = !(left > 0);
  if (left > 0) {
    node.querySelector('span').textContent = `${who} is typing`;
    dots.set(node, setTimeout(() => { node.hidden = true; }, left));
  }
}
