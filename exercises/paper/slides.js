// One slide at a time, by key. Without this script the page shows all slides below each other.
"use strict";

const slides = [...document.querySelectorAll(".slide")];
const place = document.getElementById("place");
const steps = { ArrowRight: 1, PageDown: 1, " ": 1, Enter: 1, ArrowLeft: -1, PageUp: -1 };
let now = 0;

function show(number) {
  now = Math.max(0, Math.min(slides.length - 1, number));
  slides.forEach((slide, index) => slide.classList.toggle("now", index === now));
  place.textContent = `${now + 1} of ${slides.length}`;
  history.replaceState(null, "", `#${now + 1}`);
  window.scrollTo(0, 0);
}

function fit() {
  const scale = Math.min(innerWidth / 1280, innerHeight / 720);
  document.body.style.setProperty("--scale", scale);
}

// A long list gets smaller letters instead of being cut off.
function shrink(page) {
  for (const name of ["dense", "denser"]) {
    if (page.scrollHeight <= page.clientHeight) return;
    page.classList.remove("dense");
    page.classList.add(name);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in steps) show(now + (event.shiftKey && event.key === " " ? -1 : steps[event.key]));
  else if (event.key === "Home") show(0);
  else if (event.key === "End") show(slides.length - 1);
  else if (event.key === "n" || event.key === "N") document.body.classList.toggle("with-notes");
  else return;
  event.preventDefault();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".notes")) show(now + 1);
});
addEventListener("resize", fit);
addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1));

document.querySelectorAll(".page").forEach(shrink);
document.body.classList.add("one-at-a-time");
fit();
show((Number(location.hash.slice(1)) || 1) - 1);
