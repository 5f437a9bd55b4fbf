// What pages share that hold a key: it is made here, cannot be read out, and proves in each request who asks. A copy of the
// tokens alone is worth nothing.
"use strict";

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function bytesOf(text) {
  return new TextEncoder().encode(text);
}

async function digest(text) {
  return base64url(await crypto.subtle.digest("SHA-256", bytesOf(text)));
}

function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A pair on P-256, whose private half stays in this browser.
async function newKey() {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  const { x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const publicKey = { kty: "EC", crv: "P-256", x, y };
  // RFC 7638: these members in this order.
  const thumbprint = await digest(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`);
  return { publicKey, thumbprint, key: pair.privateKey };
}

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || "");
    this.status = status;
    this.problem = problem;
    this.word = (problem.type || "").split(":").pop();
  }
}

// A compact JWS by the holder's key.
async function signedBy(holder, header, claims) {
  const signed = [header, claims].map((part) => base64url(bytesOf(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, holder.key, bytesOf(signed));
  return `${signed}.${base64url(signature)}`;
}

// By how many milliseconds the server's clock is ahead of this one's, which may be wrong: proofs are of now.
let ahead = null;

async function secondsNow() {
  if (ahead === null) {
    const answer = await fetch("/healthz", { cache: "no-store" });
    const date = Date.parse(answer.headers.get("Date") || "");
    ahead = Number.isNaN(date) ? 0 : date - Date.now();
  }
  return Math.floor((Date.now() + ahead) / 1000);
}

// That this request comes from whoever holds the key (RFC 9449), with this access token where it shows one.
async function proofOf(holder, method, path, token) {
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: holder.publicKey };
  const jti = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const claims = { jti, htm: method, htu: serviceUrl + path.split("?")[0], iat: await secondsNow() };
  if (token) claims.ath = await digest(token);
  return signedBy(holder, header, claims);
}

// Asks as the holder, showing the token where there is one.
async function askBy(holder, token, method, path, body) {
  const headers = { DPoP: await proofOf(holder, method, path, token) };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `DPoP ${token}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  const content = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}
