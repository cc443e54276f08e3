// The page's behaviour: panels as tabs, buttons without a reload, and one question a second whether anything is new.
// The server makes all HTML and escapes what learners wrote. Nothing is asked of any other host.

import { drawLoad } from "./load.js";

const POLL_MS = 1000;
const RUNNING_MS = 400;
const GONE_MS = 2000;
const COPIED_MS = 1500;
const WIDE = window.matchMedia("(min-width: 60rem)");
const body = document.body;
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- panels

const panels = Object.fromEntries($$("[data-panel]").map((element) => [element.dataset.panel, element]));
const tabs = $$("[role=tab]");
const LIVE = ["shop"];
const CHARTED = "load";
const query = { differences: "", shop: "" };
const shown = { text: body.dataset.version, tasks: body.dataset.version };

const named = (hash) => hash.replace("#", "");
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
    panels[tab.hash.slice(1)].classList.toggle("chosen", mine);
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
    choose(tab.hash.slice(1));
  });
  tab.addEventListener("keydown", (event) => {
    const visible = tabs.filter((each) => each.offsetParent);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = { Home: 0, End: visible.length - 1 }[event.key];
    if (step === undefined && at === undefined) return;
    event.preventDefault();
    const next = at ?? (visible.indexOf(tab) + step + visible.length) % visible.length;
    visible[next].focus();
    choose(visible[next].hash.slice(1));
  });
});
WIDE.addEventListener("change", showTabs);
window.addEventListener("hashchange", showTabs);

// A panel takes over new HTML piece by piece. What is the same stays: the focus, an opened place, a motion under way.
const touched = (element) => element.dataset?.touched || element.hasAttribute?.("data-keep");

function morph(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const there = before[index];
    if (!there) old.append(node);
    else if (there.nodeName !== node.nodeName || there.id !== node.id) there.replaceWith(node);
    else if (node.nodeType !== Node.ELEMENT_NODE) {
      if (there.nodeValue !== node.nodeValue) there.nodeValue = node.nodeValue;
    } else {
      for (const { name, value } of [...node.attributes])
        if (there.getAttribute(name) !== value && !(name === "open" && touched(there))) there.setAttribute(name, value);
      for (const { name } of [...there.attributes])
        if (!node.hasAttribute(name) && !touched(there)) there.removeAttribute(name);
      if (!there.dataset?.chart) morph(there, node);
    }
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function swap(panel, html) {
  const focus = panel.contains(document.activeElement) ? document.activeElement : null;
  morph(panel, new DOMParser().parseFromString(html, "text/html").body);
  if (!focus || focus === document.activeElement) return;
  const again = focus.id && document.getElementById(focus.id);
  (again || panel).focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary?.parentElement.id) summary.parentElement.dataset.touched = "1";
});

// ---- what is new

let version = body.dataset.version;
let timer = 0;
let asking = false;

async function fetched(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok && answer.status !== 409) throw new Error(answer.status);
  return answer;
}

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

document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  const button = event.submitter ?? $("button", form);
  button.setAttribute("aria-disabled", "true");
  try {
    await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { "X-Requested-With": "page" },
    });
  } catch {
    $("#gone").hidden = false;
  }
  button.removeAttribute("aria-disabled");
  await ask();
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent);
    copy.textContent = "Copied";
    $("#announce").textContent = "Copied.";
    setTimeout(() => Object.assign(copy, { textContent: "Copy" }), COPIED_MS);
  }
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
    query.shop = log.dataset.log ? `?log=${encodeURIComponent(log.dataset.log)}` : "";
    await refresh(["shop"], true);
  }
  const motion = event.target.closest("[data-motion]");
  if (motion) {
    const still = document.documentElement.classList.toggle("still");
    localStorage.setItem("still", still ? "1" : "");
    motion.setAttribute("aria-pressed", String(!still));
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

offerPlace();
showTabs();
tick();
timer = setTimeout(ask, POLL_MS);
