// Times as people read them: by the clock of the house, whatever this phone's says.
"use strict";

const LANGUAGE = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;

// "Monday 2 March at 09:00", with the year where it is another, and the zone where this phone lives in another.
function timeIn(zone, instant) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const form = { weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const year = (date) => new Intl.DateTimeFormat(LANGUAGE, { year: "numeric", timeZone: zone || here }).format(date);
  if (year(new Date(instant)) !== year(new Date())) form.year = "numeric";
  if (zone) {
    form.timeZone = zone;
    if (zone !== here) form.timeZoneName = "short";
  }
  return new Intl.DateTimeFormat(LANGUAGE, form).format(new Date(instant));
}

function clockTime(instant) {
  const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(LANGUAGE, form).format(new Date(instant));
}
