// One's own account: signing in, and what belongs to it, part by part.
"use strict";

const title = document.getElementById("title");
const state = document.getElementById("state");
const signIn = document.getElementById("sign-in");

function tell(text, kind) {
  state.textContent = text;
  state.className = kind || "";
}

function showSignIn(text, kind) {
  document.getElementById("account").hidden = true;
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  signIn.hidden = false;
  signIn.elements.password.value = "";
  signIn.elements.code.value = "";
  document.getElementById("code-asked").hidden = true;
  const hasNone = Boolean(whyNoPasskeys());
  document.getElementById("by-passkey").hidden = hasNone;
  document.getElementById("or").hidden = hasNone;
  tell(text || "", kind);
}

const sessionsPart = part("sessions", async (list) => {
  const { data } = await call("GET", "/v1/me/sessions");
  fillList(list, data.map(sessionItem));
  show("end-others", data.length > 1);
});

function sessionItem(session) {
  // Kept is only the hour in which it was used last: one that began within it was not used before it began.
  const used = Date.parse(session.used_at) > Date.parse(session.began_at) ? `, last used in the hour from ${timeIn(null, session.used_at)}` : "";
  const times = `Since ${timeIn(null, session.began_at)}${used}.`;
  if (session.current) return item(`${session.device} (this one)`, [times], [], sessionsPart);
  const end = async () => {
    await dangerous(() => call("DELETE", `/v1/me/sessions/${session.id}`));
    return "It is signed out.";
  };
  return item(session.device, [times], [["End", end]], sessionsPart);
}

document.getElementById("end-others").addEventListener("click", (event) => {
  sessionsPart.doing(event.target, async () => {
    const { ended } = await dangerous(() => call("DELETE", "/v1/me/sessions"));
    return ended === 1 ? "One other was signed out." : `${ended} others were signed out.`;
  });
});

const phonesPart = part("phones", async (list) => {
  const { data } = await call("GET", "/v1/me/phones");
  fillList(list, data.map(phoneItem));
  show("no-phones", data.length === 0);
});

function phoneItem(phone) {
  const remove = async () => {
    const lost = `“${phone.name}” opens no door any more, also offline, as soon as the locks know. It signs in anew for that.`;
    await sure("Remove this phone?", lost, "Remove it");
    await call("DELETE", `/v1/me/phones/${phone.id}`);
    return "The phone is removed.";
  };
  return item(phone.name, [`Registered ${timeIn(null, phone.registered_at)}.`], [["Remove phone", remove]], phonesPart);
}

async function showAccount() {
  const me = await call("GET", "/v1/me");
  document.getElementById("who").textContent = `Signed in as ${me.name}, ${me.email}.`;
  document.getElementById("add-passkey").elements.passkey_name.value = thisDevice();
  show("recovery", false);
  await Promise.all([passkeysPart, factorPart, sessionsPart, phonesPart, lettersPart].map((one) => one.show()));
  signIn.hidden = true;
  document.getElementById("account").hidden = false;
  tell("");
}

// Signs in by this, and says why not.
async function signingIn(way) {
  const controls = [...signIn.elements];
  for (const control of controls) control.disabled = true;
  tell("One moment …");
  let problem = null;
  try {
    await way();
    await showAccount();
  } catch (thrown) {
    problem = thrown;
  }
  for (const control of controls) control.disabled = false;
  if (!problem) {
    title.focus();
    return;
  }
  const isAsked = problem.word === "second-factor-needed";
  tell(why(problem), isAsked ? "" : "bad");
  if (isAsked) {
    document.getElementById("code-asked").hidden = false;
    signIn.elements.code.focus();
  }
}

signIn.addEventListener("submit", (event) => {
  event.preventDefault();
  const { email, password, code } = signIn.elements;
  const shown = { email: email.value, password: password.value, code: code.value || null };
  signingIn(() => begin("/v1/auth/sign-in", shown));
});

document.getElementById("by-passkey").addEventListener("click", () => signingIn(signInByPasskey));

document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await call("POST", "/v1/auth/sign-out");
    await forgetSession();
    showSignIn("You are signed out.");
  } catch (problem) {
    // Without a word from the service the session lives on, and its owner is told so.
    if (problem instanceof SignedOut) showSignIn("You are signed out.");
    else tell(why(problem), "bad");
  }
  title.focus();
});

async function start() {
  if (!window.isSecureContext || !crypto.subtle) {
    tell("This page needs a safe connection (https) and a browser of the last years.", "bad");
    return;
  }
  mine = await keptSession();
  if (!mine) {
    showSignIn();
    return;
  }
  try {
    await showAccount();
  } catch (problem) {
    if (problem instanceof SignedOut) showSignIn(why(problem), "bad");
    else tell(why(problem), "bad");
  }
}

start();
