// The page's behaviour: panels as tabs, buttons without a reload, and one question a second whether anything is new.
// The server makes all HTML and escapes what learners wrote. Nothing is asked of any other host.

import { drawLoad } from "./load.js";
import { $, $$, fetched, listen, showChosen, swap } from "./parts.js";

const POLL_MS = 1000;
const RUNNING_MS = 400;
const GONE_MS = 2000;
const WIDE = window.matchMedia("(min-width: 60rem)");
const body = document.body;

// ---- panels

const panels = Object.fromEntries($$("[data-panel]").map((element) => [element.dataset.panel, element]));
const tabs = $$("[role=tab]");
const LIVE = ["shop"];
const CHARTED = "load";
const query = { differences: "", shop: "" };
const shown = { text: body.dataset.version, tasks: body.dataset.version };

const named = (hash) => hash.replace("#", "").replace("panel-", "");
const isTab = (name) => tabs.some((tab) => tab.id === `tab-${name}`);

function selected() {
  const name = named(location.hash);
  if (isTab(name) && !(WIDE.matches && name === "text")) return name;
  return WIDE.matches ? "tasks" : "text";
}

function showTabs() {
  const name = selected();
  for (const tab of tabs) {
    const mine = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", mine);
    tab.tabIndex = mine ? 0 : -1;
    panels[tab.dataset.tab].classList.toggle("chosen", mine);
  }
  refresh([name]);
}

function choose(name) {
  if (named(location.hash) !== name) history.replaceState(null, "", `#${name}`);
  showTabs();
}

tabs.forEach((tab) => {
  tab.addEventListener("click", (event) => {
    event.preventDefault();
    choose(tab.dataset.tab);
  });
  tab.addEventListener("keydown", (event) => {
    const visible = tabs.filter((each) => each.offsetParent);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = { Home: 0, End: visible.length - 1 }[event.key];
    if (step === undefined && at === undefined) return;
    event.preventDefault();
    const next = at ?? (visible.indexOf(tab) + step + visible.length) % visible.length;
    visible[next].focus();
    choose(visible[next].dataset.tab);
  });
});
WIDE.addEventListener("change", showTabs);
window.addEventListener("hashchange", showTabs);

// ---- what is new

let version = body.dataset.version;
let timer = 0;
let asking = false;

async function refresh(names, always = false) {
  const stale = names.filter((name) => always || shown[name] !== version + (query[name] ?? ""));
  await Promise.all(
    stale.map(async (name) => {
      const wanted = version + (query[name] ?? "");
      const html = await (await fetched(`panel/${name}${query[name] ?? ""}`)).text();
      if (shown[name] === wanted && !always) return;
      shown[name] = wanted;
      swap(panels[name], html);
    }),
  );
  if (stale.includes(CHARTED)) await drawLoad();
  if (stale.includes("head")) {
    if ($("[data-say]").dataset.exercise !== body.dataset.exercise) location.reload();
    announce();
  }
  tick();
}

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  let wait = POLL_MS;
  try {
    const now = await (await fetched("state")).json();
    if (now.version !== version) {
      version = now.version;
      const name = selected();
      const always = WIDE.matches && name !== "text" ? ["head", "notice", "text"] : ["head", "notice"];
      await refresh([...new Set([...always, name])]);
    }
    if (selected() === CHARTED) await drawLoad();
    if (LIVE.includes(selected())) await refresh([selected()], true);
    $("#gone").hidden = true;
    if (now.running) wait = RUNNING_MS;
  } catch {
    $("#gone").hidden = false;
    wait = GONE_MS;
  } finally {
    asking = false;
  }
  if (!document.hidden) timer = setTimeout(ask, wait);
}

document.addEventListener("visibilitychange", () => document.hidden || ask());

let said = $("[data-say]").textContent;
function announce() {
  const sentence = $("[data-say]").textContent;
  if (sentence !== said) $("#announce").textContent = sentence;
  said = sentence;
}

// ---- buttons

document.addEventListener("click", async (event) => {
  const what = event.target.closest("[data-what]");
  if (what) {
    event.preventDefault();
    query.differences = `?what=${what.dataset.what}${what.dataset.yes ? "&yes=1" : ""}`;
    if (selected() === "differences") await refresh(["differences"]);
    else choose("differences");
  }
  const log = event.target.closest("[data-log]");
  if (log) {
    event.preventDefault();
    query.shop = log.dataset.log ? `?of=${encodeURIComponent(log.dataset.log)}` : "";
    await refresh(["shop"], true);
    showChosen(panels.shop);
  }
  const opens = event.target.closest("[data-open]");
  if (opens) {
    event.preventDefault();
    choose(named(opens.getAttribute("href")));
    await refresh([selected()]);
    const details = document.getElementById(opens.dataset.open);
    if (details) {
      Object.assign(details, { open: true }).dataset.touched = "1";
      $("summary", details).focus();
      details.scrollIntoView({ block: "nearest" });
    }
  }
});

// ---- time, and the place in the text

function tick() {
  for (const time of $$("time[data-since]")) {
    const minutes = Math.floor((Date.now() / 1000 - Number(time.dataset.since)) / 60);
    const words = minutes < 1 ? "just now" : minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
    if (time.textContent !== words) time.textContent = words;
  }
}
setInterval(tick, 20000);

const place = `read-${body.dataset.exercise}`;
const scroller = () => (WIDE.matches ? panels.text : document.scrollingElement);
let settled = 0;

function headingInView() {
  const top = WIDE.matches ? panels.text.getBoundingClientRect().top : 0;
  return $$("article h2, article h3", panels.text).filter((each) => each.getBoundingClientRect().top < top + 120).pop();
}

function remember() {
  clearTimeout(settled);
  settled = setTimeout(() => {
    if (selected() !== "text" && !WIDE.matches) return;
    localStorage.setItem(place, headingInView()?.id ?? "");
  }, 300);
}
panels.text.addEventListener("scroll", remember, { passive: true });
document.addEventListener("scroll", remember, { passive: true });

function offerPlace() {
  const heading = document.getElementById(localStorage.getItem(place) ?? "");
  const link = $("[data-where-was-i]");
  if (!heading || !link || scroller().scrollTop > 0) return;
  link.hidden = false;
  link.firstElementChild.textContent = heading.textContent;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  });
}

listen(ask);
offerPlace();
showTabs();
tick();
timer = setTimeout(ask, POLL_MS);
