// The two reference shops: both are read once a second, and the charts draw what the visitors of both notice.

import { drawLoad } from "./load.js";
import { $, $$, fetched, listen, showChosen, swap } from "./parts.js";

const POLL_MS = 1000;
const GONE_MS = 2000;
const panels = Object.fromEntries($$("[data-panel]").map((element) => [element.dataset.panel, element]));
const SHOPS = Object.keys(panels).filter((name) => !["notice", "load"].includes(name));
const logs = {};
let version = document.body.dataset.version;
let timer = 0;
let asking = false;

const load = async (name) => swap(panels[name], await (await fetched(`panel/${name}${logs[name] ?? ""}`)).text());

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  let wait = POLL_MS;
  try {
    const now = await (await fetched("state")).json();
    if (now.version !== version) await Promise.all(["notice", "load"].map(load));
    version = now.version;
    await Promise.all([...SHOPS.map(load), drawLoad()]);
    $("#gone").hidden = true;
  } catch {
    $("#gone").hidden = false;
    wait = GONE_MS;
  } finally {
    asking = false;
  }
  if (!document.hidden) timer = setTimeout(ask, wait);
}

document.addEventListener("click", async (event) => {
  const log = event.target.closest("[data-log]");
  if (!log) return;
  event.preventDefault();
  const name = log.closest("[data-panel]").dataset.panel;
  logs[name] = log.dataset.log ? `?of=${encodeURIComponent(log.dataset.log)}` : "";
  await load(name);
  showChosen(panels[name]);
});
document.addEventListener("visibilitychange", () => document.hidden || ask());
listen(ask);
ask();
