// Passkeys: what this browser asks of its authenticators, and the list of them.
"use strict";

function bytesIn(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function named(credentials) {
  return credentials.map((credential) => ({ ...credential, id: bytesIn(credential.id) }));
}

// Why there are no passkeys here; null where there are.
function whyNoPasskeys() {
  const service = new URL(serviceUrl);
  if (/^[\d.]+$|^\[/.test(service.hostname)) return "There are no passkeys here: this service has no name, only a number.";
  if (location.origin !== service.origin) return `Passkeys work at ${service.origin}/account.`;
  if (!window.PublicKeyCredential) return "This browser knows no passkeys.";
  return null;
}

// Has an authenticator make a passkey.
async function madePasskey(options) {
  const { response, id, type } = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytesIn(options.challenge),
      user: { ...options.user, id: bytesIn(options.user.id) },
      excludeCredentials: named(options.excludeCredentials),
    },
  });
  const [clientDataJSON, attestationObject] = [response.clientDataJSON, response.attestationObject].map(base64url);
  return { id, type, response: { clientDataJSON, attestationObject } };
}

// Has an authenticator sign by a passkey.
async function signedByPasskey(options) {
  const { response, id, type } = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: bytesIn(options.challenge),
      allowCredentials: named(options.allowCredentials),
    },
  });
  return {
    id,
    type,
    response: {
      clientDataJSON: base64url(response.clientDataJSON),
      authenticatorData: base64url(response.authenticatorData),
      signature: base64url(response.signature),
      userHandle: response.userHandle ? base64url(response.userHandle) : null,
    },
  };
}

async function signInByPasskey() {
  const answer = await fetch("/v1/auth/passkey/options", { method: "POST", cache: "no-store" });
  const content = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, content);
  await begin("/v1/auth/passkey", { credential: await signedByPasskey(content.public_key) });
}

async function proveByPasskey() {
  const { public_key: options } = await call("POST", "/v1/auth/prove/passkey/options");
  await call("POST", "/v1/auth/prove/passkey", { credential: await signedByPasskey(options) });
}

// What the name of a new passkey begins as.
function thisDevice() {
  const known = [
    [/iPhone/, "iPhone"],
    [/iPad/, "iPad"],
    [/Android/, "Android phone"],
    [/Macintosh/, "Mac"],
    [/Windows/, "Windows"],
    [/CrOS/, "Chromebook"],
    [/Linux/, "Linux"],
  ].find(([mark]) => mark.test(navigator.userAgent));
  return known ? known[1] : "This device";
}

const passkeysPart = part("passkeys", async (list) => {
  const { data } = await call("GET", "/v1/me/passkeys");
  fillList(list, data.map(passkeyItem));
  hasPasskeys = data.length > 0;
  const why = whyNoPasskeys();
  document.getElementById("add-passkey").hidden = Boolean(why);
  const note = document.getElementById("no-passkeys");
  note.hidden = !why;
  note.textContent = why || "";
});

function passkeyItem(passkey) {
  const used = passkey.used_at ? `Last used about ${timeIn(null, passkey.used_at)}.` : "Not used yet.";
  const where = passkey.synced ? " Your other devices may have it too." : "";
  return item(passkey.name, [`Added ${timeIn(null, passkey.registered_at)}. ${used}${where}`], [
    [
      "Rename",
      async () => {
        const name = await askName(passkey.name);
        await call("PATCH", `/v1/me/passkeys/${passkey.id}`, { name });
        return "It has another name now.";
      },
    ],
    [
      "Remove",
      async () => {
        await sure("Remove this passkey?", `“${passkey.name}” signs you in no more. Delete it on the device as well.`, "Remove it");
        await dangerous(() => call("DELETE", `/v1/me/passkeys/${passkey.id}`));
        return "The passkey is removed.";
      },
    ],
  ], passkeysPart);
}

document.getElementById("add-passkey").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  passkeysPart.doing(form.querySelector("button"), async () => {
    const name = form.elements.passkey_name.value;
    const { public_key: options } = await dangerous(() => call("POST", "/v1/me/passkeys/options"));
    const credential = await madePasskey(options);
    await dangerous(() => call("POST", "/v1/me/passkeys", { name, credential }));
    return "The passkey is added. You can sign in with it from now on.";
  });
});
