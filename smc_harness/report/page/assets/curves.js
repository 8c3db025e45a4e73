// A chart for each task, drawn by Vega-Lite; which pruners are shown is chosen beside them, for all at once.

// marks differ in shape and colour, so that seven times eight pruners can be told apart; colours are those of the style
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"];
const PATHS = ["M-1,0a1,1,0,1,0,2,0a1,1,0,1,0,-2,0", "M-1,-1h2v2h-2z", "M0,-1L1,1H-1z", "M0,-1.2L1.2,0L0,1.2L-1.2,0z",
  "M-1,-.4H-.4V-1H.4V-.4H1V.4H.4V1H-.4V.4H-1z", "M0,1L1,-1H-1z", "M1,0L-1,-1V1z"];
const colour = (pruner) => `var(--series-${pruner % 8})`;
const shape = (pruner) => pruner % SHAPES.length;

const shown = new Set(pruners.keys());
let withSeeds = true, withPublished = false;
const updates = [];

function points(task) {
  const rows = [];
  for (const { pruner, points } of task.curves) {
    for (const [at, value, low, high, how, verdict, seeds] of points) {
      const interval = how === null ? "none" : `${score(low, task.unit)} to ${score(high, task.unit)}`;
      const label = `${pruners[pruner].name} at ${level(at)}: ${score(value, task.unit)}, ${verdict}`;
      rows.push({ label, pruner, level: at, value, low, high, how, verdict, seeds, interval, name: pruners[pruner].name, text: score(value, task.unit) });
    }
  }
  return rows;
}

const seedsOf = (task) => task.curves.flatMap(({ pruner, seeds }) =>
  seeds.flatMap(({ seed, points }) => points.map(([at, value]) => ({ pruner, seed, level: at, value, name: pruners[pruner].name, text: score(value, task.unit) }))));

const publishedOf = (task) => (task.published?.curves ?? []).flatMap(({ pruner, points }) =>
  points.map(([at, value, note]) => ({ pruner, level: at, value, note, name: pruners[pruner].name, text: score(value, task.unit) })));

/** What is shown of a task, and from where to where its scores reach. */
function chosen(task) {
  const found = (rows) => rows.filter(({ pruner }) => shown.has(pruner)).flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]);
  const dense = task.dense === null ? [] : [task.dense, task.passes];
  const all = [...dense, ...found(points(task)), ...found(withSeeds ? seedsOf(task) : []), ...found(withPublished ? publishedOf(task) : [])];
  const [bottom, top] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
  return { shown: [...shown], withSeeds, withPublished, bottom, top };
}

const tooltip = (fields) => Object.entries(fields).map(([title, field]) => ({ field, title, type: "nominal" }));
const isShown = { filter: "indexof(shown, datum.pruner) >= 0" };
const place = { x: { field: "level", type: "quantitative" }, y: { field: "value", type: "quantitative" } };

function specification(task) {
  const rows = points(task), seeds = seedsOf(task), published = publishedOf(task);
  const percent = task.unit === "fraction";
  const known = pruners.map((_, i) => i);
  const series = { field: "pruner", type: "nominal", legend: null, scale: { domain: known, range: known.map(colour) } };
  const marks = { field: "pruner", type: "nominal", legend: null, scale: { domain: known, range: known.map((i) => SHAPES[shape(i)]) } };
  const levels = [...rows, ...published].map((row) => row.level);
  const told = tooltip({ pruner: "name", sparsity: "level", [task.metric]: "text", interval: "interval", verdict: "verdict",
    ...(seeds.length ? { "seeds measured": "seeds" } : {}) });
  const layer = [];
  if (task.dense !== null) {
    const band = [{ dense: task.dense, passes: task.passes }];
    layer.push(
      { data: { values: band }, mark: { type: "rect", color: "var(--band)", opacity: 0.22, aria: false }, encoding: { y: { field: "passes", type: "quantitative" }, y2: { field: "dense" } } },
      { data: { values: band }, mark: { type: "rule", color: "var(--ink)", strokeDash: [6, 4], aria: false }, encoding: { y: { field: "dense", type: "quantitative" } } },
    );
  }
  layer.push(
    { data: { values: published }, transform: [{ filter: "withPublished" }, isShown], encoding: { ...place, color: series }, layer: [
      { mark: { type: "line", strokeDash: [2, 3], strokeWidth: 1.5, aria: false } },
      { mark: { type: "point", filled: false, size: 40, shape: "circle", strokeDash: [2, 1] }, encoding: {
        tooltip: tooltip({ "as published": "name", sparsity: "level", [task.metric]: "text", source: "note" }) } }] },
    { data: { values: seeds }, transform: [{ filter: "withSeeds" }, isShown],
      mark: { type: "line", strokeWidth: 0.8, opacity: 0.5, aria: false }, encoding: { ...place, color: series, detail: { field: "seed", type: "nominal" } } },
    { data: { values: rows }, transform: [isShown], encoding: { ...place, color: series }, layer: [
      { mark: { type: "point", size: 350, opacity: 0, filled: true, aria: false }, encoding: { tooltip: told } },  // for fingers
      { mark: { type: "line", strokeWidth: 2, aria: false } },
      { transform: [{ filter: "isValid(datum.low)" }], mark: { type: "rule", strokeWidth: 1.2, opacity: 0.65, aria: false }, encoding: { y: { field: "low", type: "quantitative" }, y2: { field: "high" } } },
      { mark: { type: "point", size: 55, opacity: 1, strokeWidth: 1.5 }, encoding: {
        shape: marks,
        fill: { condition: { test: "datum.verdict === 'fail'", value: "var(--paper)" }, ...series },
        description: { field: "label", type: "nominal" },
        tooltip: told } }] },
  );
  return {
    description: `${task.metric} of ${task.name} over sparsity, a line for each pruner`,
    width: "container", height: 280, autosize: { type: "fit", contains: "padding" },
    params: Object.entries(chosen(task)).map(([name, value]) => ({ name, value })),
    encoding: {
      x: { title: "sparsity", axis: { tickCount: 8, tickMinStep: 0.05, format: "~g" }, scale: { domain: [Math.max(0, Math.min(...levels) - 0.05), Math.min(1, Math.max(...levels) + 0.03)], nice: false } },
      y: { title: percent ? task.metric : task.unit || task.metric, axis: { format: percent ? "%" : ".6~g" }, scale: { domain: [{ expr: "bottom" }, { expr: "top" }], zero: false, nice: true } },
    },
    layer,
    config: {
      background: "transparent", font: "system-ui, sans-serif",
      axis: { labelColor: "var(--ink)", titleColor: "var(--ink)", titleFontWeight: 400, gridColor: "var(--line)", domainColor: "var(--dim)", tickColor: "var(--dim)", labelFontSize: 12, titleFontSize: 12 },
      view: { stroke: null },
    },
  };
}

/** The same numbers as a table: pruners by levels. */
function numbers(task) {
  const levels = [...new Set(task.curves.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const head = make("tr", {}, make("th", { scope: "col" }, "pruner"), ...levels.map((at) => make("th", { scope: "col", class: "number" }, level(at))));
  const rows = task.curves.map(({ pruner, points }) => {
    const by = new Map(points.map((point) => [point[0], point]));
    const entry = (point) => make("td", { class: "number" }, point ? score(point[1], task.unit) : "", point?.[5] === "fail" ? " (fails)" : "");
    return make("tr", {}, make("th", { scope: "row" }, pruners[pruner].name), ...levels.map((at) => entry(by.get(at))));
  });
  const title = `${task.metric} of ${task.name}, by pruner and level`;
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
    make("table", {}, make("caption", { class: "unseen" }, title), make("thead", {}, head), make("tbody", {}, ...rows)));
}

const tip = make("div", { id: "tip", hidden: true });
document.body.append(tip);
document.addEventListener("pointerdown", () => { tip.hidden = true; });

/** Vega's call to show what a mark tells, or nothing. A finger that is lifted has left the mark, but it is still read. */
function tell(handler, event, item, told) {
  if (!told) {
    if (event.pointerType !== "touch") tip.hidden = true;
    return;
  }
  tip.replaceChildren(make("dl", { class: "facts" }, ...Object.entries(told).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])));
  tip.hidden = false;
  const fit = (at, size, room) => Math.max(4, at + 12 + size > room ? at - 12 - size : at + 12);
  tip.style.left = `${fit(event.clientX, tip.offsetWidth, document.documentElement.clientWidth)}px`;
  tip.style.top = `${fit(event.clientY, tip.offsetHeight, innerHeight)}px`;
}

function panel(task) {
  const plot = make("div", { class: "plot" });
  const fill = () => details.children.length === 1 && details.append(numbers(task));
  const details = make("details", { toggle: fill }, make("summary", {}, "The numbers"));
  window.addEventListener("beforeprint", fill);
  const dense = task.dense === null ? "no dense model" : `dense ${score(task.dense, task.unit)}, tolerance ${task.tolerance}`;
  const paper = task.published ? `, published dense ${score(task.published.dense, task.unit)}` : "";
  document.getElementById("charts").append(make("section", { class: "chart" }, make("h3", {}, task.name), make("div", { class: "dim" }, dense + paper), plot, details));
  return async () => {
    const { view } = await vegaEmbed(plot, specification(task), { mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: tell });
    view.addEventListener("click", (event, item) => tell(null, event, item, item?.tooltip));  // a tap moves no pointer
    const update = () => {
      Object.entries(chosen(task)).forEach(([name, value]) => view.signal(name, value));
      view.runAsync();
    };
    updates.push(update);
    update();  // what was chosen since the drawing began
  };
}

const updateAll = () => updates.forEach((update) => update());

function checkbox(checked, changed, ...label) {
  const input = make("input", { type: "checkbox", change: () => { changed(input.checked); updateAll(); } });
  input.checked = checked;
  return [make("label", {}, input, ...label), input];
}

function swatch(pruner) {
  const draw = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  };
  const line = draw("path", { d: "M-2.6,0H2.6", "stroke-width": 0.5 }), mark = draw("path", { d: PATHS[shape(pruner)], fill: colour(pruner), "stroke-width": 0.1 });
  return draw("svg", { viewBox: "-2.6 -1.5 5.2 3", "aria-hidden": "true", stroke: colour(pruner) }, line, mark);
}

function choosePruners(drawn) {
  const used = [...pruners.keys()].filter((pruner) => drawn.some((task) => task.curves.some((curve) => curve.pruner === pruner)));
  const toggle = (pruner) => (on) => (on ? shown.add(pruner) : shown.delete(pruner));
  const boxes = used.map((pruner) => [pruner, ...checkbox(true, toggle(pruner), swatch(pruner), make("span", {}, pruners[pruner].name))]);
  const set = (on) => () => {
    boxes.forEach(([pruner, , input]) => { input.checked = on; toggle(pruner)(on); });
    updateAll();
  };
  const buttons = [["all", true], ["none", false]].map(([text, on]) => make("button", { type: "button", click: set(on) }, text));
  const more = [];
  if (drawn.some((task) => task.published?.curves.length)) more.push(checkbox(false, (on) => { withPublished = on; }, "as published (dotted)")[0]);
  if (drawn.some((task) => task.curves.some((curve) => curve.seeds.length))) more.push(checkbox(true, (on) => { withSeeds = on; }, "every seed (thin)")[0]);
  document.getElementById("pruners").append(make("div", { class: "all" }, ...buttons), make("div", { class: "choices" }, ...boxes.map(([, label]) => label)), ...more);
}

/** One after another, whenever the browser has nothing else to do. */
async function drawAll(drawn) {
  for (const draw of drawn.map(panel)) {
    await new Promise((next) => (window.requestIdleCallback ?? setTimeout)(next));
    await draw();
  }
  document.documentElement.dataset.drawn = "true";
}

const drawn = tasks.filter((task) => task.curves.length);
if (drawn.length) {
  document.getElementById("no-curves").remove();
  document.getElementById("curves-body").hidden = false;
  document.getElementById("intervals").append(...data.intervals.map((words) => make("li", {}, words)));
  choosePruners(drawn);
  drawAll(drawn);
}
