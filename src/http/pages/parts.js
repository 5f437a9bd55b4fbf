// What the parts of an account's page are made of: what is said, dialogs, and lists with buttons.
"use strict";

function show(id, isShown) {
  document.getElementById(id).hidden = !isShown;
}

// What the authenticator or the person at it said.
function whyNoAnswer(name) {
  switch (name) {
    case "NotAllowedError":
      return "Nothing was signed: you stopped it, or it took too long. Try again.";
    case "InvalidStateError":
      return "This device has a passkey of yours already.";
    case "SecurityError":
      return "Passkeys do not work at this address.";
    default:
      return null;
  }
}

function why(problem) {
  if (problem instanceof SignedOut) return "You were signed out. Sign in again.";
  if (problem instanceof DOMException) {
    const said = whyNoAnswer(problem.name);
    if (said) return said;
  }
  if (!(problem instanceof Refused)) return "The service cannot be reached. Are you online?";
  switch (problem.word) {
    case "wrong-credentials":
      return "The e-mail address or the password is wrong.";
    case "second-factor-needed":
      return "Type the code that your device shows, or a recovery code.";
    case "wrong-code":
      return "This code is wrong, or was used. Wait for the next one.";
    case "passkey-refused":
      return "This passkey was refused: it was removed here, or it took too long. Try again, or use your password.";
    case "passkey-known":
      return "This passkey is registered already.";
    case "too-many-passkeys":
      return "You have twenty passkeys. Remove one first.";
    case "second-factor-off":
      return "It took too long, or it was stopped elsewhere. Begin again.";
    case "second-factor-on":
      return "It is on already.";
    case "not-found":
      return "It is gone already.";
    case "throttled":
      return "Too many tries. Wait a minute, then try again.";
    case "proof-refused":
      return "This browser's key was refused. Sign out, and sign in again.";
    case "phone-key-needed":
      return "The house lets only phones do that which prove themselves. Do it in the app.";
    case "invalid-field":
      return problem.message;
    default:
      return "That did not work. Try again shortly.";
  }
}

// Nobody wants to be told that they did not want to.
class Unwanted extends Error {}

// A dialog, until its form is sent and done or somebody closes it.
function asked(id, prepare, done) {
  const dialog = document.getElementById(id);
  const form = dialog.querySelector("form");
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const heard = { signal: over.signal };
    let outcome = null;
    dialog.addEventListener("close", () => {
      over.abort();
      if (outcome) resolve(outcome.value);
      else reject(new Unwanted());
    }, heard);
    const end = (value) => {
      outcome = { value };
      dialog.close();
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const value = await done(form);
      if (value !== undefined) end(value);
    }, heard);
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close(), heard);
    prepare(form, end, heard);
    dialog.showModal();
  });
}

async function sure(question, consequence, yes) {
  return asked(
    "sure",
    () => {
      document.getElementById("of-sure").textContent = question;
      document.getElementById("sure-why").textContent = consequence;
      document.getElementById("sure-yes").textContent = yes;
    },
    () => true,
  );
}

async function askName(present) {
  return asked(
    "rename",
    (form) => {
      form.elements.new_name.value = present;
    },
    (form) => form.elements.new_name.value,
  );
}

let hasPasskeys = false;

function prove() {
  const said = document.querySelector("#prove .said");
  const codeAsked = document.getElementById("proof-code-asked");
  const fail = (problem) => {
    said.textContent = why(problem);
    if (problem.word === "second-factor-needed") {
      codeAsked.hidden = false;
      codeAsked.querySelector("input").focus();
    }
  };
  return asked(
    "prove",
    (form, end, heard) => {
      form.reset();
      said.textContent = "";
      codeAsked.hidden = true;
      const byPasskey = document.getElementById("prove-by-passkey");
      byPasskey.hidden = !hasPasskeys || Boolean(whyNoPasskeys());
      const answer = () => proveByPasskey().then(() => end(true), fail);
      byPasskey.addEventListener("click", answer, heard);
    },
    async (form) => {
      const { proof_password: password, proof_code: code } = form.elements;
      const proof = { password: password.value, code: code.value || null };
      try {
        await call("POST", "/v1/auth/prove", proof);
        return true;
      } catch (problem) {
        fail(problem);
        return undefined;
      }
    },
  );
}

// What is dangerous asks for a young proof of who somebody is, and is asked again with it.
async function dangerous(action) {
  try {
    return await action();
  } catch (problem) {
    if (!(problem instanceof Refused) || problem.word !== "proof-needed") throw problem;
  }
  await prove();
  return action();
}

// A part of the page: how it is filled, and what is said in it.
function part(id, fill) {
  const section = document.getElementById(id);
  const said = section.querySelector(".said");
  const list = section.querySelector("ul");
  const say = (text, kind) => {
    said.textContent = text || "";
    said.className = `said ${kind || ""}`;
  };
  return {
    async show() {
      say("");
      await fill(list);
    },
    // Does it, says how it came out, and shows the part as it is then. The action gives what is to be said; with `null` all
    // stays as the action left it.
    async doing(control, action) {
      control.disabled = true;
      section.setAttribute("aria-busy", "true");
      say("");
      try {
        const done = await action();
        if (done !== null) {
          await fill(list);
          say(done, "good");
        }
      } catch (problem) {
        if (problem instanceof SignedOut) {
          showSignIn(why(problem));
          title.focus();
        } else if (!(problem instanceof Unwanted)) {
          say(why(problem), "bad");
          if (control.type === "checkbox") await fill(list).catch(() => {});
        }
      }
      section.removeAttribute("aria-busy");
      control.disabled = false;
      // What cannot be pressed for a while loses the focus, and may be gone by now; so may what had it in a dialog.
      const isSeen = (one) => one.getClientRects().length > 0;
      const focused = document.activeElement;
      if (focused === document.body || !isSeen(focused)) {
        (isSeen(control) ? control : section.querySelector("h2")).focus();
      }
    },
  };
}

// Fills a list. Things of one name are told apart by who only hears the buttons.
function fillList(list, items) {
  list.replaceChildren(...items);
  const heard = new Map();
  for (const button of list.querySelectorAll("button")) {
    const label = button.getAttribute("aria-label");
    const times = (heard.get(label) || 0) + 1;
    heard.set(label, times);
    if (times > 1) button.setAttribute("aria-label", `${label} (${times})`);
  }
}

// An item of a list: its name, what is to be known of it, and what can be done with it.
function item(name, lines, actions, of) {
  const made = element("li");
  made.append(element("h3", name), ...lines.map((line) => element("p", line, "soft")));
  const row = element("div", "", "row");
  for (const [label, action] of actions) {
    const button = element("button", label, "plain");
    button.type = "button";
    button.setAttribute("aria-label", `${label}: ${name}`);
    button.addEventListener("click", () => of.doing(button, action));
    row.append(button);
  }
  if (actions.length > 0) made.append(row);
  return made;
}
