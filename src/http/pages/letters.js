// Which letters come: a switch for what belongs together. Every kind of notice stands here once.
"use strict";

const LETTERS = [
  [
    "Access that you are given, that is changed or taken back",
    ["access-given", "access-changed", "access-revoked", "role-changed", "link-redeemed"],
  ],
  ["Somebody who works for the house gets access to a door of yours", ["staff-access"]],
  ["When you live somewhere", ["tenancy-given", "tenancy-changed", "tenancy-ended"]],
  [
    "Visits of vendors, and locks that are changed",
    [
      "visit-ordered",
      "visit-agreed",
      "visit-declined",
      "visit-emergency",
      "vendor-let-in",
      "vendor-kept-out",
      "visit-begun",
      "visit-ended",
      "lock-change-begun",
    ],
  ],
  [
    "Somebody is locked out",
    [
      "lockout-asked",
      "lockout-help-wanted",
      "lockout-call-wanted",
      "lockout-approved",
      "lockout-denied",
      "lockout-lapsed",
      "lockout-refused",
    ],
  ],
  ["What you owe", ["ledger-line"]],
  ["Spare keys", ["spare-asked", "spare-released", "spare-refused", "spare-returned"]],
  ["Lockdowns", ["lockdown-begun", "lockdown-changed", "lockdown-ended"]],
  ["Somebody looks at a log of yours, or changes what it shows", ["look-opened", "privacy-changed"]],
  ["Low batteries, alarms, and locks with another controller", ["battery-low", "alarm", "lock-replaced"]],
  ["What a second person has to confirm", ["proposal-made", "proposal-confirmed", "proposal-refused"]],
  ["Webhooks that are told no more", ["webhook-stopped"]],
  [
    "Your account: new devices, codes and passkeys",
    [
      "new-device",
      "second-factor-on",
      "second-factor-off",
      "recovery-code-used",
      "passkey-added",
      "passkey-removed",
      "passkey-copied",
    ],
  ],
];

const lettersPart = part("letters", async () => {
  const { letters_arrive: arrive, no_letter_for: unwanted } = await call("GET", "/v1/me/notice-settings");
  document.getElementById("letters-state").textContent = arrive
    ? "What you switch off here, the app still tells you."
    : "No letters are sent from here. The app tells you what concerns you.";
  const fieldset = document.querySelector("#letters fieldset");
  fieldset.hidden = !arrive;
  const switches = LETTERS.map(([words, kinds]) => letterSwitch(words, kinds, new Set(unwanted)));
  fieldset.replaceChildren(fieldset.querySelector("legend"), ...switches);
});

function letterSwitch(words, kinds, unwanted) {
  const label = element("label", "", "switch");
  const box = element("input");
  box.type = "checkbox";
  const off = kinds.filter((kind) => unwanted.has(kind)).length;
  box.checked = off === 0;
  box.indeterminate = off > 0 && off < kinds.length;
  label.append(box, element("span", words));
  box.addEventListener("change", () => {
    lettersPart.doing(box, async () => {
      // As it stands now: another tab may have changed it.
      const { no_letter_for: before } = await call("GET", "/v1/me/notice-settings");
      const others = before.filter((kind) => !kinds.includes(kind));
      await call("PUT", "/v1/me/notice-settings", { no_letter_for: box.checked ? others : [...others, ...kinds] });
      return box.checked ? "Letters come for that." : "No letters come for that any more. A last one says so.";
    });
  });
  return label;
}
