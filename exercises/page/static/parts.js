// What every page here needs: new HTML without a reload, buttons that are commands, code to copy.

const COPIED_MS = 1500;
export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// A panel takes over new HTML piece by piece. What is the same stays: the focus, an opened place, a motion under way.
const touched = (element) => element.dataset.touched;
const kept = (element) => element.hasAttribute("data-keep") || element.hasAttribute("data-chart");

function morph(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const there = before[index];
    if (!there) old.append(node);
    else if (there.nodeName !== node.nodeName || there.id !== node.id) there.replaceWith(node);
    else if (node.nodeType !== Node.ELEMENT_NODE) {
      if (there.nodeValue !== node.nodeValue) there.nodeValue = node.nodeValue;
    } else if (!kept(there)) {
      for (const { name, value } of [...node.attributes])
        if (there.getAttribute(name) !== value && !(name === "open" && touched(there))) there.setAttribute(name, value);
      for (const { name } of [...there.attributes])
        if (!node.hasAttribute(name) && !touched(there)) there.removeAttribute(name);
      morph(there, node);
    }
  });
  before.slice(after.length).forEach((node) => node.remove());
}

export function swap(panel, html) {
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

// A gap between two questions, though the page was shown all the time: the machine slept.
const SLEPT_MS = 60000;
let awake = Date.now();

function noticeSleep() {
  const minutes = Math.round((Date.now() - awake) / 60000);
  const slept = Date.now() - awake > SLEPT_MS;
  awake = Date.now();
  if (!slept) return;
  $("#slept span").textContent = minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  $("#slept").hidden = false;
}
document.addEventListener("visibilitychange", () => (awake = Date.now()));
$("#slept button").addEventListener("click", () => ($("#slept").hidden = true));

export async function fetched(path) {
  noticeSleep();
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok && answer.status !== 409) throw new Error(answer.status);
  return answer;
}

// What somebody clicked on in the map of a shop has its numbers and its log below the map.
export const showChosen = (panel) => $(".chosen-one", panel)?.scrollIntoView({ block: "nearest" });

async function copy(button) {
  await navigator.clipboard.writeText($("code", button.parentElement).textContent);
  button.textContent = "Copied";
  $("#announce").textContent = "Copied.";
  setTimeout(() => Object.assign(button, { textContent: "Copy" }), COPIED_MS);
}

function toggleMotion(button) {
  const still = document.documentElement.classList.toggle("still");
  localStorage.setItem("still", still ? "1" : "");
  $$("[data-motion]").forEach((each) => each.setAttribute("aria-pressed", String(!still)));
}

// Buttons of forms send without a reload; `then` asks what is new afterwards.
export function listen(then) {
  document.addEventListener("submit", async (event) => {
    const button = event.submitter ?? $("button", event.target);
    if (button.formMethod === "get") return; // it opens a page and changes nothing
    event.preventDefault();
    button.setAttribute("aria-disabled", "true");
    try {
      const sent = new URLSearchParams(new FormData(event.target));
      await fetch(event.target.action, { method: "POST", body: sent, headers: { "X-Requested-With": "page" } });
    } catch {
      $("#gone").hidden = false;
    }
    button.removeAttribute("aria-disabled");
    await then();
  });
  document.addEventListener("click", (event) => {
    const [copied, motion] = ["[data-copy]", "[data-motion]"].map((each) => event.target.closest(each));
    if (copied) copy(copied);
    if (motion) toggleMotion(motion);
  });
}
