// The charts of the load: three of them over one time axis, the earlier run drawn faint behind.

const COLOURS = { rate: "--accent", p50: "--pass", p95: "--accent", p99: "--not-yet", failed: "--error", late: "--not-yet", replicas: "--unsure" };
const DASHES = { p50: [], p95: [], p99: [6, 4], failed: [], late: [2, 3], replicas: [8, 4] };
const CHARTS = {
  rate: [["answers/s", "rate", (point) => point.rate]],
  time: [["p50", "p50", (point) => point.p50_ms], ["p95", "p95", (point) => point.p95_ms], ["p99", "p99", (point) => point.p99_ms]],
  wrong: [["failed", "failed", (point) => point.failed], ["not started", "late", (point) => point.not_started], ["replicas", "replicas", (point) => point.replicas]],
};
const HEIGHTS = { rate: 130, time: 150, wrong: 120 };
const charts = {};
const second = () => document.getElementById("charts").dataset.second;
const first = () => document.getElementById("charts").dataset.first;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// One shop: a colour for each line, and its earlier run faint. Two shops: a colour for each shop, the second one dotted.
// What comes first is drawn behind.
function series(kind) {
  const points = { show: false };
  const both = second();
  const lines = CHARTS[kind].map(([label, key]) => ({ label, stroke: css(both ? "--first" : COLOURS[key]), width: 2, dash: DASHES[key] ?? [], points }));
  const others = CHARTS[kind].map(([label, key]) =>
    both
      ? { label: `${label}, ${both}`, stroke: css("--second"), width: 2, dash: [2, 3, ...(DASHES[key] ?? [])], points }
      : { label: `${label}, earlier`, stroke: css(COLOURS[key]), width: 1, alpha: 0.4, dash: DASHES[key] ?? [], points },
  );
  return [{ label: "s" }, ...others, ...lines];
}

function make(kind, box) {
  const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px sans-serif" };
  const options = {
    width: box.clientWidth, height: HEIGHTS[kind], legend: { show: false }, padding: [10, 8, 0, 0], cursor: { sync: { key: "load" }, drag: { x: false, y: false } },
    scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1)] } },
    axes: [{ ...axis, size: 24 }, { ...axis, size: 44 }], series: series(kind),
  };
  return new window.uPlot(options, [[]], box);
}

function data(kind, now, earlier) {
  const seconds = [...new Set([...now, ...earlier].map((point) => Math.round(point.at)))].sort((a, b) => a - b);
  const by = (points) => Object.fromEntries(points.map((point) => [Math.round(point.at), point]));
  const [mine, theirs] = [by(now), by(earlier)];
  const line = (points, read) => seconds.map((second) => (points[second] ? read(points[second]) : null));
  return [seconds, ...CHARTS[kind].map(([, , read]) => line(theirs, read)), ...CHARTS[kind].map(([, , read]) => line(mine, read))];
}

const SAYS = {
  rate: (point) => `${point.rate}/s in the last 5 s`,
  time: (point) => `p50 ${point.p50_ms ?? "–"}, p95 ${point.p95_ms ?? "–"}, p99 ${point.p99_ms ?? "–"} ms`,
  wrong: (point) => `${point.failed} failed, ${point.not_started} not started, ${point.replicas} replicas`,
};

function says(output, kind, points, earlier) {
  const [last, other] = [points, earlier].map((each) => each.at(-1) && SAYS[kind](each.at(-1)));
  if (!second() || !(last || other)) return output.replaceChildren(last ?? "no run yet");
  const line = (name, words) => Object.assign(document.createElement("span"), { className: `of-${name}`, textContent: `${name}: ${words ?? "–"}` });
  output.replaceChildren(line(second(), other), line(first(), last));
}

function suffered(cell, points) {
  const [p95, failed] = points.at(-1)?.personas?.[cell.dataset.persona] ?? [null, 0];
  cell.textContent = `${p95 === null ? "–" : `${Math.round(p95)} ms`}${failed ? `, ▲ ${failed} failed` : ""}`;
  cell.classList.toggle("wrong", failed > 0);
}

// Ask for the points and draw them; nothing is asked while the panel is not shown.
export async function drawLoad() {
  const found = await (await fetch("load", { cache: "no-store" })).json();
  draw(found.points, found.earlier);
}

function draw(points, earlier) {
  for (const box of document.querySelectorAll("[data-chart]")) {
    const kind = box.dataset.chart;
    if (charts[kind]?.root.parentElement !== box) charts[kind] = make(kind, box);
    const chart = charts[kind];
    if (chart.width !== box.clientWidth) chart.setSize({ width: box.clientWidth, height: HEIGHTS[kind] });
    chart.setData(data(kind, points, earlier));
    says(box.parentElement.querySelector("output"), kind, points, earlier);
  }
  const faint = document.querySelector("[data-faint]");
  if (faint) faint.hidden = !earlier.length;
  for (const cell of document.querySelectorAll("[data-persona]")) suffered(cell, "second" in cell.dataset ? earlier : points);
  for (const input of document.querySelectorAll("[data-series]")) {
    const number = CHARTS.time.findIndex(([label]) => label === input.dataset.series) + 1;
    for (const each of [number, number + CHARTS.time.length])
      if (charts.time.series[each].show !== input.checked) charts.time.setSeries(each, { show: input.checked });
  }
}

document.addEventListener("change", (event) => event.target.closest("[data-series]") && drawLoad());
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const kind of Object.keys(charts)) {
    charts[kind].destroy();
    delete charts[kind];
  }
});
