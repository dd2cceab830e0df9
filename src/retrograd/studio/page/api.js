// Requests to the server, and following a run's log.
const KEY = "retrograd-studio-token";

// The token comes in the fragment of the address, which browsers never send, and is removed from the address at once.
if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem(KEY, location.hash.slice(7));
  history.replaceState(null, "", "/#runs");
}

export class Refusal extends Error {
  constructor(status, problems) {
    super(problems.map((problem) => problem.message).join("; "));
    this.status = status;
    this.problems = problems;
  }
}

const listeners = new Set();
let standing = "open"; // open, gone or refused
export function onStanding(listener) { listeners.add(listener); listener(standing); }
function stand(next) {
  if (next === standing) return;
  standing = next;
  for (const listener of listeners) listener(next);
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}`, ...options.headers } });
  } catch {
    stand("gone");
    throw new Refusal(0, [{ where: "", message: "the studio does not answer", cure: "start it again" }]);
  }
  stand(response.status === 401 ? "refused" : "open");
  if (!response.ok) throw new Refusal(response.status, (await response.json().catch(() => ({}))).problems ?? [{ where: "", message: response.statusText, cure: "" }]);
  return response;
}

export const read = async (path) => (await ask(path)).json();
export const readBytes = async (path) => new Uint8Array(await (await ask(path)).arrayBuffer());
export const send = async (path, body = {}) => (await ask(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } })).json();
export const upload = async (file) => (await ask(`/api/uploads?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json();
export const runPath = (id, verb = "") => `/api/runs/${encodeURIComponent(id)}${verb ? `/${verb}` : ""}`;

// Ask repeatedly until stopped: often while something happens, rarely while the page is hidden.
export function repeat(action, pace) {
  let timer = null, isOver = false;
  const turn = async () => {
    let wait = 2000;
    try { wait = pace(await action()); } catch (error) { if (error.status === 404) isOver = true; }
    if (!isOver) timer = setTimeout(turn, document.hidden ? Math.max(wait, 2000) : wait);
  };
  const seen = () => { if (!document.hidden && !isOver) { clearTimeout(timer); timer = setTimeout(turn, 0); } };
  document.addEventListener("visibilitychange", seen);
  turn();
  return () => { isOver = true; clearTimeout(timer); document.removeEventListener("visibilitychange", seen); };
}

// Follow a run's log: `hear(head, events)`; `head.again` means that the log starts over.
export function follow(id, hear) {
  let place = "0-0-0";
  return repeat(async () => {
    const text = await (await ask(`${runPath(id, "events")}?place=${place}`)).text();
    const end = text.indexOf("\n");
    const head = JSON.parse(text.slice(0, end));
    const events = [];
    for (const line of text.slice(end + 1).split("\n")) {
      if (!line) continue;
      try { events.push(JSON.parse(line)); } catch { /* a damaged line: the others tell enough */ }
    }
    place = head.place;
    hear(head, events);
    return head;
  }, (head) => (head.more ? 0 : head.running || head.job ? 440 : 1500));
}
