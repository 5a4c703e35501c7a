// The row of things that can be broken, and the banner that says what is broken now.
import { el } from './el.js';
import { post } from './api.js';

const row = document.getElementById('breaks');
const banner = document.getElementById('banner');

const modes = [
  ['noAgents', 'Agents', 'Nobody takes chats. The employee should be told, be back with the bot, and be offered a ticket, whatever way the instance chooses to say so.', [
    ['', 'Agents: there'], ['text', 'Nobody: a text'], ['takeControl', 'Nobody: takeControl'], ['completed', 'Nobody: completed'], ['close', 'Nobody: closed'],
    ['ackFailure', 'Nobody: refused'], ['silence', 'Nobody: silence'], ['fail', 'Nobody: fail']]],
  ['serviceNow', 'ServiceNow', 'ServiceNow does not work. The employee should be told once, words should wait and arrive in order when it is back, or be reported as not delivered.', [
    ['', 'Instance: up'], ['503', 'Down: 503'], ['hang', 'Down: hangs'], ['html', 'Asleep: HTML'], ['refuse', 'Down: refused']]],
];

const switches = [
  ['serviceNowLost', 'Lose answer', 'ServiceNow takes the next words of the employee, and the connection breaks before it answers. They are sent again under the same id, and the agent sees them once.'],
  ['serviceNowTwice', 'Twice', 'ServiceNow posts every event twice. The employee should see everything once.'],
  ['teams', 'Down', 'Teams answers 503 to whatever the service sends. Words of the agent wait and arrive in order when it is back, or are marked Failed at the agent.'],
  ['teamsThrottled', 'Throttle 10 s', 'Teams answers 429 with Retry-After for ten seconds. What is to be sent waits that long and then arrives in order.'],
  ['teamsLost', 'Lose answer', 'Teams shows the next message and the connection breaks before it answers. Nobody can know, so the message is repeated once: the employee may see it twice, never not at all.'],
  ['teamsTwice', 'Twice', 'Teams posts every message twice. The agent should see everything once.'],
  ['identity', 'No keys', 'The signing keys of Teams cannot be fetched. A running service goes on with the keys it has; one that starts now is not ready until they can be.'],
];

const names = {
  noAgents: { text: 'Nobody takes chats', takeControl: 'Nobody takes chats (takeControl)', completed: 'Nobody takes chats (completed)', close: 'Chats are closed from the queue', ackFailure: 'Requests for an agent are refused', silence: 'Requests for an agent meet silence', fail: 'Requests for an agent fail' },
  serviceNow: { 503: 'ServiceNow answers 503', hang: 'ServiceNow hangs', html: 'ServiceNow answers with a login page', refuse: 'ServiceNow refuses connections' },
  serviceNowLost: 'ServiceNow\'s next answer will be lost', serviceNowTwice: 'ServiceNow posts everything twice', teams: 'Teams answers 503',
  teamsLost: 'Teams\' next answer will be lost', teamsTwice: 'Teams posts everything twice', identity: 'The identity provider is down',
};

const controls = {};
let state = null;
let countdown = 0;

for (const [what, label, title, options] of modes) {
  controls[what] = el('select', { title, 'aria-label': label, testid: `break-${what}`, onchange: (e) => post('break', { what, mode: e.target.value }) },
    options.map(([value, text]) => el('option', { value }, text)));
}
for (const [what, text, title] of switches) {
  controls[what] = el('button', { type: 'button', title, 'aria-pressed': 'false', testid: `break-${what}`, onclick: (e) => post('break', { what, mode: e.currentTarget.getAttribute('aria-pressed') === 'true' ? '' : 'on' }) }, text);
}
const service = el('button', { type: 'button', class: 'danger', testid: 'service-kill', onclick: () => post('service', { what: service.dataset.do }) }, 'kill -9');

const group = (name, ...nodes) => el('span', { class: 'group' }, el('b', {}, name), nodes);
row.append(
  el('strong', {}, 'Break'),
  group('snowbot', service),
  group('Teams', controls.teams, controls.teamsThrottled, controls.teamsLost, controls.teamsTwice, controls.identity),
  group('ServiceNow', controls.noAgents, controls.serviceNow, controls.serviceNowLost, controls.serviceNowTwice));

function pill(id, kind, text) {
  const node = document.getElementById(id);
  node.className = `pill ${kind}`;
  node.querySelector('small').textContent = text;
}

export function showBreaks(next) {
  state = next;
  const { broken, service: s } = state;
  const throttled = Math.ceil((new Date(state.throttledUntil || 0).getTime() - Date.now()) / 1000);
  for (const [what] of modes) controls[what].value = broken[what] || '';
  for (const [what] of switches) controls[what].setAttribute('aria-pressed', String(Boolean(broken[what]) || (what === 'teamsThrottled' && throttled > 0)));
  const dead = s.state === 'killed';
  service.dataset.do = dead ? 'start' : 'kill';
  service.dataset.testid = dead ? 'service-start' : 'service-kill';
  service.textContent = dead ? 'start' : 'kill -9';
  service.className = dead ? 'primary' : 'danger';
  service.title = dead ? 'Start the service on the same database. What it had accepted should be delivered.' : 'End the service with SIGKILL, as a power cut would. What it has accepted is on disk, and is delivered when it runs again.';

  const news = Object.entries(broken).map(([what, mode]) => (typeof names[what] === 'string' ? names[what] : names[what][mode]) || what);
  if (throttled > 0) news.push(`Teams throttles, for ${throttled} s more`);
  if (dead) news.unshift(`The service does not run (${s.detail}): what it has accepted is on disk, and goes on when you press “start”`);
  else if (s.state !== 'running' && s.starts > 1) news.unshift(`The service is starting${s.detail ? `: ${s.detail}` : ''}`);
  else if (s.state !== 'running' && s.detail) news.unshift(`The service is not ready: ${s.detail}`);
  banner.hidden = !news.length;
  const text = news.join(' · ');
  if (banner.dataset.text !== text) {
    banner.dataset.text = text;
    banner.replaceChildren(el('span', {}, `⚠ ${text}`), el('button', { type: 'button', testid: 'repair', title: 'Everything works again, apart from a service that was killed.', onclick: () => post('repair') }, 'Repair'));
    banner.lastChild.hidden = !Object.keys(broken).length && throttled <= 0;
  }
  clearTimeout(countdown);
  if (throttled > 0) countdown = setTimeout(() => showBreaks(state), 500);

  pill('pill-service', dead ? 'bad' : s.state === 'running' ? 'good' : 'warn', s.state === 'running' ? `running · pid ${s.pid}` : s.state);
  document.getElementById('pill-service').title = `Started ${s.starts} times. Log: ${s.log}`;
  const teamsBad = broken.teams || broken.identity;
  pill('pill-teams', teamsBad ? 'bad' : throttled > 0 || broken.teamsLost || broken.teamsTwice ? 'warn' : 'good', broken.teams ? 'down' : throttled > 0 ? 'throttled' : teamsBad ? 'no keys' : 'emulated');
  pill('pill-now', broken.serviceNow ? 'bad' : broken.noAgents || broken.serviceNowLost || broken.serviceNowTwice ? 'warn' : 'good', broken.serviceNow ? 'down' : broken.noAgents ? 'nobody there' : 'emulated');
  document.querySelectorAll('#dialect button').forEach((b) => b.setAttribute('aria-pressed', String(b.dataset.mode === state.dialect)));
}
