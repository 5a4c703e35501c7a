// The admin API, and the token that it asks for.
const key = 'snowbot-admin-token';
const toast = document.getElementById('toast');
let timer = 0;

export const token = {
  get: () => sessionStorage.getItem(key) || '',
  set: (value) => sessionStorage.setItem(key, value),
  forget: () => sessionStorage.removeItem(key),
};

export function complain(text) {
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { toast.hidden = true; }, 6000);
}

// A Refusal is an answer of the API that is not what was asked for. Its code is one of the API's, or 'unreachable'.
export class Refusal extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

// ask calls the API. Empty parameters are left out.
export async function ask(method, path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== '' && v !== undefined)).toString();
  let response;
  let answer;
  try {
    response = await fetch(`/api/admin/${path}${query ? `?${query}` : ''}`, { method, headers: { Authorization: `Bearer ${token.get()}` }, cache: 'no-store' });
    answer = await response.json();
  } catch {
    throw new Refusal('unreachable', 'The service does not answer. Is it still running?');
  }
  if (!response.ok) throw new Refusal(answer.code, answer.error || `The service answered ${response.status}.`);
  return answer;
}

export const when = (at) => (at ? new Date(at).toLocaleString([], { dateStyle: 'short', timeStyle: 'medium' }) : '');
