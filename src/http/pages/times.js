// Times as people read them: by the clock of the house, whatever this phone's says.
"use strict";

const LANGUAGE = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;

const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

// The instant in that form by the clock of the zone, which is named where this phone lives in another; without one, by this phone's.
function written(form, zone, instant) {
  const there = zone ? { timeZone: zone, ...(zone !== HERE && { timeZoneName: "short" }) } : {};
  return new Intl.DateTimeFormat(LANGUAGE, { ...form, ...there }).format(new Date(instant));
}

// "Monday 2 March at 09:00", with the year where it is another.
function timeIn(zone, instant) {
  const year = (date) => new Intl.DateTimeFormat(LANGUAGE, { year: "numeric", timeZone: zone || HERE }).format(date);
  const form = { weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (year(new Date(instant)) !== year(new Date())) form.year = "numeric";
  return written(form, zone, instant);
}

// "09:00".
function clockTime(zone, instant) {
  return written({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, zone, instant);
}
