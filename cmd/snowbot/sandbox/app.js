// The page: whom it shows, and the stream it lives on.
import { post, complain } from './api.js';
import { startTeams, showTeams } from './teams.js';
import { startDesk, showDesk } from './desk.js';
import { showBreaks } from './breaks.js';
import { wire } from './wire.js';

const query = new URLSearchParams(location.search);
const wantsEmployee = query.get('employee');
const wantsAgent = query.get('agent');
const both = wantsEmployee === null && wantsAgent === null;
const main = document.getElementById('main');
let state = null;

document.querySelectorAll('#dialect button').forEach((b) => b.addEventListener('click', () => post('dialect', { mode: b.dataset.mode })));
document.getElementById('open-employee').addEventListener('click', () => {
  const next = state && (state.more.employees || [])[0];
  if (next) window.open(`/?employee=${next.split(' ')[0].toLowerCase()}`, '_blank');
  else complain('Everyone is here already.');
});
document.getElementById('open-agent').addEventListener('click', () => {
  const next = state && (state.more.agents || [])[0];
  if (next) window.open(`/?agent=${encodeURIComponent(next)}`, '_blank');
  else complain('All agents are here already.');
});

function listen() {
  const stream = new EventSource('/events');
  const lost = () => document.body.classList.add('offline');
  stream.addEventListener('state', (e) => {
    document.body.classList.remove('offline');
    state = JSON.parse(e.data);
    showBreaks(state);
    if (!main.classList.contains('no-teams')) showTeams(state);
    if (!main.classList.contains('no-desk')) showDesk(state);
    document.body.dataset.ready = 'true';
  });
  stream.addEventListener('reset', (e) => wire(JSON.parse(e.data) || [], true));
  stream.addEventListener('wire', (e) => wire(JSON.parse(e.data) || [], false));
  stream.onerror = () => {
    lost();
    if (stream.readyState === EventSource.CLOSED) { stream.close(); setTimeout(listen, 1000); }
  };
}

async function start() {
  let employee = both ? 'mia' : wantsEmployee;
  let agent = both ? 'Sam Ortiz' : wantsAgent;
  if (agent) agent = ((await post('agent/open', { agent })) || { agent }).agent;
  if (employee) startTeams(employee.toLowerCase());
  if (agent) startDesk(agent);
  main.classList.toggle('no-teams', !employee);
  main.classList.toggle('no-desk', !agent);
  if (!both) document.title = `${[employee, agent].filter(Boolean).join(' and ')} · snowbot sandbox`;
  listen();
  if (employee && employee !== 'mia') post('employee/open', { employee: employee.toLowerCase() });
  document.getElementById(employee ? 'employee-input' : 'agent-input').focus();
}

start();
