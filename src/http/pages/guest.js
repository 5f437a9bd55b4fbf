// A guest's doors. The link's secret stands in the fragment, which browsers do not send. It is exchanged by the proof of a
// key that is made here, cannot be read out, and is kept before the exchange: a link belongs to the first key that comes.
"use strict";

const stays = document.getElementById("stays");
const state = document.getElementById("state");
const again = document.getElementById("again");

function tell(text, kind) {
  state.textContent = text;
  state.className = kind || "";
  state.hidden = !text;
}

// What is kept: one record a link, in the browser's own database.

let shelf = null;
// For browsers that keep nothing: until the page is closed.
const inMind = new Map();

async function links(mode) {
  if (!shelf) {
    const opening = indexedDB.open("doorward-guest", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("links", { keyPath: "id" });
    shelf = await answered(opening);
  }
  return shelf.transaction("links", mode).objectStore("links");
}

async function keep(link) {
  inMind.set(link.id, link);
  try {
    await answered((await links("readwrite")).put(link));
  } catch {
    // It works until the page is closed.
  }
}

async function forget(link) {
  inMind.delete(link.id);
  try {
    await answered((await links("readwrite")).delete(link.id));
  } catch {
    // There is nothing kept then.
  }
}

async function kept() {
  try {
    for (const link of await answered((await links("readonly")).getAll())) {
      if (!inMind.has(link.id)) inMind.set(link.id, link);
    }
  } catch {
    // What is in mind counts.
  }
  return [...inMind.values()].sort((one, other) => other.since - one.since);
}

// The exchange.

async function linkOf(secret) {
  const id = await digest(secret);
  const known = (await kept()).find((link) => link.id === id);
  if (known) return { ...known, since: Date.now() };
  return { id, secret, ...(await newKey()), since: Date.now(), session: null };
}

function ask(link, method, path, body) {
  const session = path === "/v1/guest/redeem" ? null : link.session;
  return askBy(link, session && session.access_token, method, path, body);
}

async function redeem(link) {
  const header = { alg: "ES256", typ: "redeem+jwt", kid: link.thumbprint };
  const claims = { link_hash: link.id, jkt: link.thumbprint, iat: await secondsNow() };
  const proof = await signedBy(link, header, claims);
  link.session = await ask(link, "POST", "/v1/guest/redeem", { secret: link.secret, public_key: link.publicKey, proof });
  await keep(link);
}

// As the guest; a session that has ended begins anew with the same key, once.
async function call(link, method, path, body) {
  if (!link.session) await redeem(link);
  try {
    return await ask(link, method, path, body);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  await redeem(link);
  return ask(link, method, path, body);
}

// What is said.

const OVER = "Your access has ended, or it was taken back. Whoever sent you the link can give you a new one.";

function whyNoDoors(problem) {
  if (!(problem instanceof Refused)) return "The service cannot be reached. Are you online?";
  switch (problem.word) {
    case "not-found":
      return OVER;
    case "link-used":
      return "This link belongs to another phone. Open it there, or ask whoever sent it for a new one.";
    case "invalid-field":
      return problem.problem.field === "proof" ? problem.message : "This link is not whole. Copy all of it.";
    case "throttled":
      return "Too many tries from here. Wait a minute, then try again.";
    default:
      return "That did not work. Try again shortly.";
  }
}

function whyRefused(reason, opensAt, zone) {
  const when = opensAt ? timeIn(zone, opensAt) : null;
  switch (reason) {
    case "not-yet":
      return when ? `Not yet: it opens for you from ${when}.` : "Not yet.";
    case "outside-schedule":
      return when ? `Not at this time. It opens for you again ${when}.` : "Not at this time.";
    case "grant-expired":
    case "grant-revoked":
    case "no-access":
      return OVER;
    case "uses-exhausted":
      return "This access is used up.";
    case "spare-not-released":
      return "This is a spare key: it opens once it is released to you.";
    case "phone-key-needed":
      return "The house lets in only phones that prove themselves. Open the link anew.";
    case "lockdown":
      return "The house is locked down: this door lets nobody in now.";
    case "lock-not-in-service":
      return "This door's lock is out of service.";
    default:
      return "The door was not opened for you.";
  }
}

const NOT_CONNECTED =
  "This lock is not connected now. Nothing was sent, and nothing will open later by itself. Call whoever sent you the " +
  "link: there may be a keypad code or a key.";

function whyNotOpened(attempt) {
  switch (attempt.status) {
    case "refused":
      return "The lock refused.";
    case "expired":
      return "The lock did not answer in time. It does not open any more by this try: try again.";
    default:
      switch (attempt.reason) {
        case "jammed":
          return "The bolt is stuck. Pull or push the door a little, then try again.";
        case "superseded":
          return "Somebody else used this door at the same moment. Look at it, then try again.";
        case "no-answer":
          return "The lock did not say what it did. It may have opened: try the door.";
        default:
          return "The door did not open. Try again.";
      }
  }
}

// A door and its button.

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function unlock(link, door) {
  let attempt = await call(link, "POST", `/v1/locks/${door.id}/unlock`, { wait_ms: 8000 });
  const patience = Date.now() + 60_000;
  while (attempt.status === "pending" && Date.now() < patience) {
    await pause(1000);
    attempt = await call(link, "GET", `/v1/attempts/${attempt.id}`);
  }
  return attempt;
}

function doorItem(link, door) {
  const item = element("li");
  const outcome = element("p");
  outcome.setAttribute("role", "status");
  const say = (text, kind) => {
    outcome.textContent = text;
    outcome.className = kind || "";
  };
  const button = element("button", "Unlock");
  button.type = "button";
  button.setAttribute("aria-label", `Unlock ${door.name}`);
  item.append(element("h2", door.name));
  if (door.property_name) item.append(element("p", door.property_name, "soft"));
  item.append(button, outcome);
  if (!door.opens_now) {
    button.disabled = true;
    say(whyRefused(door.reason, door.opens_at, door.time_zone), "");
  } else if (!door.online) {
    say("Not connected at this moment.", "soft");
  }
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "Asking the lock …";
    say("", "");
    try {
      const attempt = await unlock(link, door);
      if (attempt.status === "confirmed") {
        say(`Unlocked at ${clockTime(door.time_zone, attempt.confirmed_at)}.`, "good");
      } else if (attempt.status === "pending") {
        say("Still no word from the lock. Try the door; if it is shut, try again.", "bad");
      } else {
        say(whyNotOpened(attempt), "bad");
      }
    } catch (problem) {
      if (!(problem instanceof Refused)) {
        say("The connection broke off: the door may have opened or not. Try it, then try again.", "bad");
      } else if (problem.word === "access-refused") {
        say(whyRefused(problem.problem.reason, problem.problem.opens_at, door.time_zone), "bad");
      } else if (problem.word === "lock-offline") {
        say(NOT_CONNECTED, "bad");
      } else if (problem.word === "throttled") {
        say("Too many tries in a row. Wait a minute.", "bad");
      } else if (problem.word === "not-found") {
        say(OVER, "bad");
      } else {
        say("The service cannot do that at this moment. Nothing was opened. Try again.", "bad");
      }
    }
    button.disabled = false;
    button.textContent = "Unlock";
  });
  return item;
}

// What stands on the page.

async function stayOf(link) {
  const section = element("section");
  const doors = (await call(link, "GET", "/v1/me/locks")).data;
  const { name, starts_at: from, ends_at: until } = link.session;
  const zone = doors.length > 0 ? doors[0].time_zone : null;
  section.append(element("p", `For ${name}, from ${timeIn(zone, from)} until ${timeIn(zone, until)}.`, "soft"));
  const list = element("ul");
  list.append(...doors.map((door) => doorItem(link, door)));
  section.append(list);
  return section;
}

let showing = Promise.resolve();

async function show() {
  const secret = location.hash.slice(1);
  if (secret) history.replaceState(null, "", location.pathname);
  again.hidden = true;
  if (!window.isSecureContext || !crypto.subtle) {
    tell("This page needs a safe connection (https) and a browser of the last years.", "bad");
    return;
  }
  let newest = null;
  if (secret) {
    newest = await linkOf(secret);
    await keep(newest);
  }
  const sections = [];
  let why = null;
  for (const link of await kept()) {
    try {
      sections.push(await stayOf(link));
    } catch (problem) {
      const isOver =
        problem instanceof Refused &&
        (["not-found", "link-used"].includes(problem.word) || problem.problem.field === "secret");
      if (isOver) await forget(link);
      else again.hidden = false;
      // What has long ended is no news while another one stands.
      if (!why && (!isOver || !newest || link.id === newest.id)) why = whyNoDoors(problem);
    }
  }
  stays.replaceChildren(...sections);
  document.getElementById("help").hidden = sections.length === 0 && !why;
  if (why) {
    tell(why, "bad");
  } else if (sections.length === 0) {
    tell("Open the link that you were sent: this page alone does not know you.", "");
  } else {
    tell("", "");
  }
}

function showAgain() {
  showing = showing.then(show).catch(() => {
    tell("That did not work. Try again shortly.", "bad");
    again.hidden = false;
  });
}

again.addEventListener("click", showAgain);
window.addEventListener("hashchange", () => location.hash && showAgain());
// Nothing is asked while nobody looks; whoever comes back after some minutes sees how it stands then.
let left = Date.now();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) left = Date.now();
  else if (Date.now() - left > 60_000) showAgain();
});
showAgain();
