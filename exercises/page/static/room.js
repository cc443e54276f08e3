// The room: asks every second whether there is something new, and twice a minute for the times.

import { $, fetched, listen, swap } from "./parts.js";

const POLL_MS = 1000;
const GONE_MS = 2000;
const AGED_MS = 30000;
const people = $("#panel-people");
let version = document.body.dataset.version;
let shown = Date.now();
let said = $("[data-say]").textContent;
let timer = 0;
let asking = false;

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  let wait = POLL_MS;
  try {
    const now = await (await fetched("state")).json();
    if (String(now.version) !== version || Date.now() - shown > AGED_MS) {
      version = String(now.version);
      shown = Date.now();
      swap(people, await (await fetched("panel/people")).text());
      const says = $("[data-say]").textContent;
      if (says !== said) $("#announce").textContent = said = says;
    }
    $("#gone").hidden = true;
  } catch {
    $("#gone").hidden = false;
    wait = GONE_MS;
  } finally {
    asking = false;
  }
  if (!document.hidden) timer = setTimeout(ask, wait);
}

document.addEventListener("visibilitychange", () => document.hidden || ask());
listen(ask);
ask();
