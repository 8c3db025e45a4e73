// The share of each tensor's weights that live, tensors by levels, of one pruner on one task with one seed.

const measured = cells.filter((cell) => cell.tensors !== null);
const sameCurve = (a, b) => a.task === b.task && a.pruner === b.pruner && a.seed === b.seed;
const density = (cell, number) => parseInt(cell.densities.slice(2 * number, 2 * number + 2), 36) / 1000;

let showDensities = () => {};

function heatMap(curve) {
  const found = measured.filter((cell) => sameCurve(cell, curve)).sort((a, b) => a.level - b.level);
  const names = data.cells.tensors[found[0].tensors];
  const head = make("tr", {}, make("th", { scope: "col" }, "tensor"), ...found.map((cell) => make("th", { scope: "col", class: "number" }, level(cell.level))));
  const entry = (name, cell, number) => {
    const share = cell.tensors === found[0].tensors ? density(cell, number) : NaN;
    if (Number.isNaN(share)) return make("td", {}, "");
    const text = `${(100 * share).toFixed(1)} %`;
    const box = make("td", { class: share === 0 ? "dead" : null, title: `${name} at ${level(cell.level)}: ${text} of its weights live` }, (100 * share).toFixed(share < 0.0995 && share > 0 ? 1 : 0));
    box.style.setProperty("--share", text.replace(" ", ""));
    return box;
  };
  const rows = names.map((name, number) => make("tr", {}, make("th", { scope: "row" }, name), ...found.map((cell) => entry(name, cell, number))));
  const title = "Density by tensor and level, in per cent";
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
    make("table", { class: "heat" }, make("caption", { class: "unseen" }, title), make("thead", {}, head), make("tbody", {}, ...rows)));
}

function chooseDensities(box) {
  const curves = [...new Map(measured.map((cell) => [`${cell.task} ${cell.pruner} ${cell.seed}`, cell])).values()];
  const plot = make("div");
  const names = { task: (cell) => tasks[cell.task].name, pruner: (cell) => pruners[cell.pruner].name, seed: (cell) => `seed ${cell.seed}` };
  const selects = {};
  const axes = Object.keys(names).filter((axis) => new Set(curves.map((cell) => cell[axis])).size > 1);
  const chosen = { ...curves[0] };
  const draw = () => {
    const curve = curves.find((cell) => sameCurve(cell, chosen));
    plot.replaceChildren(curve ? heatMap(curve) : make("p", { class: "empty" }, "Nothing was measured there."));
  };
  const controls = axes.map((axis) => {
    const values = [...new Map(curves.map((cell) => [cell[axis], names[axis](cell)]))];
    const [label, select] = choice(`densities-${axis}`, axis, values.map(([, text]) => text), (number) => { chosen[axis] = values[number][0]; draw(); });
    selects[axis] = (value) => { select.selectedIndex = values.findIndex(([known]) => known === value); };
    return label;
  });
  showDensities = (cell) => {
    Object.assign(chosen, { task: cell.task, pruner: cell.pruner, seed: cell.seed });
    axes.forEach((axis) => selects[axis](cell[axis]));
    draw();
    document.getElementById("densities").scrollIntoView();
    document.getElementById("densities").focus({ preventScroll: true });
  };
  const words = "Of every tensor's weights, how many per cent live at each level; a frame marks a tensor of which none does.";
  box.replaceChildren(make("p", {}, words), make("div", { class: "controls" }, ...controls), plot);
  draw();
}

if (measured.length) chooseDensities(document.getElementById("densities-body"));
