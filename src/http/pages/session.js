// Who is signed in on this page: the tokens of their session and the key to which it is bound, kept in this browser's own
// database. Tabs share them.
"use strict";

let shelf = null;
// Of whoever is signed in; for browsers that keep nothing, until the page is closed.
let mine = null;

async function sessions(mode) {
  if (!shelf) {
    const opening = indexedDB.open("doorward-account", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("sessions", { keyPath: "id" });
    shelf = await answered(opening);
  }
  return shelf.transaction("sessions", mode).objectStore("sessions");
}

async function keptSession() {
  try {
    return (await answered((await sessions("readonly")).get("mine"))) || null;
  } catch {
    return mine;
  }
}

async function keepSession(session) {
  mine = session;
  try {
    await answered((await sessions("readwrite")).put(session));
  } catch {
    // It works until the page is closed.
  }
}

async function forgetSession() {
  mine = null;
  try {
    await answered((await sessions("readwrite")).delete("mine"));
  } catch {
    // There is nothing kept then.
  }
}

// The session is over, wherever it was ended.
class SignedOut extends Error {}

// Begins a session by this request, with a key of its own.
async function begin(path, body) {
  const holder = await newKey();
  const tokens = await askBy(holder, null, "POST", path, body);
  await keepSession({ id: "mine", ...holder, tokens });
}

// One tab exchanges the refresh token: two that did so at once would end the session.
function refreshed(spent) {
  const exchange = async () => {
    const kept = await keptSession();
    if (!kept) throw new SignedOut();
    if (kept.tokens.access_token !== spent) {
      mine = kept;
      return;
    }
    const tokens = await askBy(kept, null, "POST", "/v1/auth/refresh", { refresh_token: kept.tokens.refresh_token });
    await keepSession({ ...kept, tokens });
  };
  return navigator.locks ? navigator.locks.request("doorward-account", exchange) : exchange();
}

function isOver(problem) {
  return problem instanceof SignedOut || (problem instanceof Refused && problem.word === "unauthenticated");
}

// As whoever is signed in.
async function call(method, path, body) {
  if (!mine) throw new SignedOut();
  const token = mine.tokens.access_token;
  try {
    return await askBy(mine, token, method, path, body);
  } catch (problem) {
    if (!isOver(problem)) throw problem;
  }
  try {
    await refreshed(token);
    return await askBy(mine, mine.tokens.access_token, method, path, body);
  } catch (problem) {
    if (!isOver(problem)) throw problem;
    await forgetSession();
    throw new SignedOut();
  }
}
