// A code beside the password: switching it on with a picture, recovery codes, switching it off.
"use strict";

const factorPart = part("factor", async () => {
  const { on, since, recovery_codes_left: left } = await call("GET", "/v1/me/second-factor");
  const codes = left === 1 ? "1 recovery code is" : `${left} recovery codes are`;
  document.getElementById("factor-state").textContent = on
    ? `On since ${timeIn(null, since)}. ${codes} left.`
    : "Off. With it, a password alone does not sign anybody in: a code of your device is asked for too.";
  show("factor-on", !on);
  show("factor-off", on);
  show("recovery-new", on);
  show("factor-confirm", false);
});

// The picture comes as a text of ours; it is drawn, and nothing in it runs.
function picture(svg) {
  const drawn = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", "Picture for an authenticator app");
  return document.importNode(drawn, true);
}

function showCodes(codes) {
  document.getElementById("recovery-codes").replaceChildren(...codes.map((code) => element("li", code)));
  show("recovery", true);
  document.getElementById("of-recovery").focus();
}

document.getElementById("factor-on").addEventListener("click", (event) => {
  factorPart.doing(event.target, async () => {
    const { uri, qr_svg: svg } = await dangerous(() => call("POST", "/v1/me/second-factor"));
    document.getElementById("factor-picture").replaceChildren(picture(svg));
    document.getElementById("factor-link").href = uri;
    const secret = new URLSearchParams(uri.split("?")[1]).get("secret");
    document.getElementById("factor-secret").textContent = secret.replace(/(.{4})(?=.)/g, "$1 ");
    show("factor-on", false);
    show("factor-confirm", true);
    const { totp_code: field } = document.getElementById("factor-confirm").elements;
    field.value = "";
    field.focus();
    return null;
  });
});

document.getElementById("factor-confirm").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  factorPart.doing(form.querySelector("button"), async () => {
    const code = form.elements.totp_code.value;
    const on = await dangerous(() => call("POST", "/v1/me/second-factor/confirm", { code }));
    forgetPicture();
    showCodes(on.recovery_codes);
    return "It is on.";
  });
});

function forgetPicture() {
  document.getElementById("factor-picture").replaceChildren();
  document.getElementById("factor-secret").textContent = "";
  document.getElementById("factor-link").removeAttribute("href");
}

document.getElementById("factor-stop").addEventListener("click", (event) => {
  factorPart.doing(event.target, async () => {
    forgetPicture();
    return "It stays off.";
  });
});

document.getElementById("recovery-kept").addEventListener("click", () => {
  document.getElementById("recovery-codes").replaceChildren();
  show("recovery", false);
  document.getElementById("of-factor").focus();
});

document.getElementById("recovery-new").addEventListener("click", (event) => {
  factorPart.doing(event.target, async () => {
    const made = await dangerous(() => call("POST", "/v1/me/second-factor/recovery-codes"));
    showCodes(made.recovery_codes);
    return "The codes from before are void.";
  });
});

document.getElementById("factor-off").addEventListener("click", (event) => {
  factorPart.doing(event.target, async () => {
    await sure("Switch the code off?", "Your password alone signs in then, and the recovery codes are void.", "Switch it off");
    await dangerous(() => call("DELETE", "/v1/me/second-factor"));
    return "It is off.";
  });
});
