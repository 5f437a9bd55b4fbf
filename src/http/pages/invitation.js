// The secret stands in the fragment, which browsers do not send: it leaves this page in one request only.
"use strict";

const form = document.getElementById("accept");
const outcome = document.getElementById("outcome");
const secret = location.hash.slice(1);

function tell(text) {
  outcome.textContent = text;
}

function why(problem) {
  switch (problem.type) {
    case "urn:doorward:problem:not-found":
      return "This invitation was used already, or it is too old. Ask for a new one.";
    case "urn:doorward:problem:wrong-credentials":
      return "You have an account here already: give its password.";
    case "urn:doorward:problem:second-factor-needed":
      document.getElementById("code-asked").hidden = false;
      document.getElementById("code").focus();
      return "You have an account here already: give the code that your device shows, or a recovery code.";
    case "urn:doorward:problem:wrong-code":
      return "This code is wrong, or was used. Wait for the next one.";
    case "urn:doorward:problem:invalid-field":
      return problem.field === "secret" ? "This link is not whole. Copy all of it." : problem.detail;
    default:
      return problem.detail || "That did not work. Try again shortly.";
  }
}

async function accept(event) {
  event.preventDefault();
  const button = document.getElementById("send");
  button.disabled = true;
  tell("One moment …");
  try {
    const answer = await fetch("/v1/invitations/accept", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        secret,
        name: document.getElementById("name").value,
        password: document.getElementById("password").value,
        code: document.getElementById("code").value || null,
      }),
    });
    if (answer.ok) {
      // Nothing of the session is kept here: the person signs in where they use it.
      history.replaceState(null, "", location.pathname);
      form.hidden = true;
      tell("Done. You can sign in now with your e-mail address and this password.");
      return;
    }
    tell(why(await answer.json()));
  } catch {
    tell("The service cannot be reached. Try again shortly.");
  }
  button.disabled = false;
}

if (secret) {
  form.addEventListener("submit", accept);
} else {
  form.hidden = true;
  tell("This link is not whole. Copy all of it, or ask for a new invitation.");
}
