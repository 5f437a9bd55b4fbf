// A tenant who cannot get in, at whatever browser there is. What follows the request is kept in this tab alone.
"use strict";

const part = (id) => document.getElementById(id);
const PARTS = ["by-email", "by-home", "identify", "follow"];
const KEPT = "doorward-lockout";

function show(id) {
  for (const each of PARTS) part(each).hidden = each !== id;
}

function tell(text, kind) {
  part("state").textContent = text;
  part("state").className = kind || "";
}

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) || {};
  } catch {
    return {};
  }
}

function keep(what) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(what));
  } catch {
    // Then a reload begins anew.
  }
}

class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail || "");
    this.status = status;
    this.problem = problem;
    this.word = (problem.type || "").split(":").pop();
    this.retryAfter = retryAfter;
  }
}

async function ask(method, path, body, secret) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (secret) headers.Authorization = `Bearer ${secret}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  const content = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, content, Number(answer.headers.get("Retry-After")));
  return content;
}

function why(problem) {
  if (!(problem instanceof Refused)) return "The service cannot be reached. Are you online?";
  switch (problem.word) {
    case "throttled": {
      const minutes = Math.max(1, Math.ceil((problem.retryAfter || 60) / 60));
      return `Too many tries. Wait ${minutes === 1 ? "a minute" : `${minutes} minutes`}, or call the office.`;
    }
    case "wrong-code":
      return "That does not fit together. Look at the code and the answers once more, or start again for another code.";
    case "invalid-field":
    case "malformed-body":
      return problem.message || "One of the answers has the wrong form.";
    default:
      return problem.message || "That did not work. Try again shortly.";
  }
}

function filled(form) {
  const answers = {};
  for (const [name, value] of new FormData(form)) {
    const text = value.trim();
    if (text) answers[name] = text;
  }
  return answers;
}

// Sends a form's answers, with its buttons asleep meanwhile.
function onSubmit(form, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    tell("One moment …");
    try {
      await send(filled(form));
    } catch (problem) {
      tell(why(problem), "bad");
    }
    for (const button of buttons) button.disabled = false;
  });
}

async function askForCode(who) {
  const asked = await ask("POST", "/v1/lockouts/ask", who);
  keep({ asked });
  identify(asked);
}

function identify(asked) {
  const until = clockTime(null, asked.expires_at);
  // Nobody is told whether such a person lives here.
  part("code-comes").textContent =
    asked.code_by === "letter"
      ? `If you live here, a code is on its way to your e-mail address. It counts until ${until}.`
      : `If you live here, the office calls you with a code. It counts until ${until}.`;
  for (const label of document.querySelectorAll("[data-question]")) {
    const wanted = asked.questions.includes(label.dataset.question);
    label.hidden = !wanted;
    label.querySelector("input").required = wanted;
    label.querySelector("input").disabled = !wanted;
  }
  tell("");
  show("identify");
}

onSubmit(part("by-email"), askForCode);
onSubmit(part("by-home"), askForCode);
onSubmit(part("identify"), async (answers) => {
  const { asked } = kept();
  const identified = await ask("POST", `/v1/lockouts/${asked.id}/identify`, answers);
  keep({ id: identified.lockout.id, secret: identified.secret });
  part("identify").reset();
  follow(identified.lockout);
});

const TRYING = {
  "spare-key": "We ask those who have a spare key of yours.",
  office: "We ask the office.",
  "on-call": "We ask whoever is on call.",
  locksmith: "Call the locksmith: they come and open.",
};

const ENDED = {
  used: "The door was opened. Welcome home.",
  unused: "The way in was not used in time.",
  denied: "The house said no.",
  cancelled: "You called it off.",
  lapsed: "Nobody could decide in time.",
};

let timer = null;

function follow(lockout) {
  clearTimeout(timer);
  tell("");
  show("follow");
  const isOpen = lockout.status === "open";
  const isApproved = lockout.status === "approved";
  part("door").textContent = lockout.lock_name || "Your door";
  if (isOpen) part("trying").textContent = TRYING[lockout.now_trying] || "Your request is with the house.";
  else if (isApproved) part("trying").textContent = `You may open the door once, until ${clockTime(null, lockout.ends_at)}.`;
  else part("trying").textContent = [ENDED[lockout.status], lockout.why].filter(Boolean).join(" ");
  part("trying").className = isApproved || lockout.status === "used" ? "good" : "";
  part("next").textContent = isOpen && lockout.next_at ? `At ${clockTime(null, lockout.next_at)} it goes on by itself.` : "";
  part("call").hidden = !lockout.call;
  if (lockout.call) {
    part("call").textContent = `Call ${lockout.call}`;
    part("call").href = `tel:${lockout.call.replaceAll(/[^+0-9]/g, "")}`;
  }
  part("way-in").hidden = !isApproved;
  part("key").hidden = !lockout.mechanical_key;
  part("key").textContent = lockout.mechanical_key ? `The last way: ${lockout.mechanical_key}` : "";
  part("cancel").hidden = !isOpen;
  part("new").hidden = isOpen || isApproved;
  if (isOpen || isApproved) timer = setTimeout(look, 4000);
}

async function look() {
  clearTimeout(timer);
  const { id, secret } = kept();
  if (!id || document.hidden) return;
  try {
    follow(await ask("GET", `/v1/lockouts/${id}`, null, secret));
  } catch (problem) {
    if (problem instanceof Refused && [401, 404].includes(problem.status)) {
      startAgain();
      tell("That request is over. Ask anew if you are still locked out.");
      return;
    }
    tell(why(problem), "bad");
    timer = setTimeout(look, 8000);
  }
}

function startAgain() {
  keep({});
  tell("");
  show("by-email");
}

part("no-email").addEventListener("click", () => show("by-home"));
part("use-email").addEventListener("click", () => show("by-email"));
part("from-start").addEventListener("click", startAgain);
part("new").addEventListener("click", startAgain);
part("way-in").addEventListener("click", async () => {
  const { id, secret } = kept();
  part("way-in").disabled = true;
  try {
    // Asked for at the last moment: it belongs to the first browser that follows it, and that is to be this one.
    const way = new URL((await ask("POST", `/v1/lockouts/${id}/way-in`, null, secret)).url);
    location.assign(way.pathname + way.hash);
  } catch (problem) {
    tell(why(problem), "bad");
  }
  part("way-in").disabled = false;
});
part("cancel").addEventListener("click", async () => {
  const { id, secret } = kept();
  try {
    follow(await ask("POST", `/v1/lockouts/${id}/cancel`, null, secret));
  } catch (problem) {
    tell(why(problem), "bad");
  }
});
document.addEventListener("visibilitychange", () => document.hidden || look());

const { id, asked } = kept();
if (id) look();
else if (asked && Date.parse(asked.expires_at) > Date.now()) identify(asked);
else show("by-email");
