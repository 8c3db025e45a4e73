// The table of cells, with what is known of each, and what each pruner cost on each task.

const verdictOf = (cell) => data.cells.verdicts[cell.verdict];
const unitOf = (cell) => tasks[cell.task].unit;
const badge = (verdict) => make("span", { class: `verdict ${verdict}` }, verdict);
const isNumber = { number: true };

const CELL_COLUMNS = [
  { title: "cell", text: (cell) => make("span", {}, ...breakable(cell.id)), key: (cell) => cell.id },
  { title: "verdict", text: (cell) => badge(verdictOf(cell)), key: (cell) => cell.verdict },
  { title: "score", text: (cell) => score(cell.value, unitOf(cell)), key: (cell) => cell.value, ...isNumber },
  { title: "dense", text: (cell) => score(cell.dense, unitOf(cell)), key: (cell) => cell.dense, ...isNumber },
  { title: "realised", text: (cell) => cell.realised?.toFixed(4) ?? "", key: (cell) => cell.realised, ...isNumber },
  { title: "steps", text: (cell) => count(cell.steps || null), key: (cell) => cell.steps, ...isNumber },
  { title: "examples", text: (cell) => count(cell.n), key: (cell) => cell.n, ...isNumber },
  { title: "seconds", text: (cell) => seconds(cell.seconds), key: (cell) => cell.seconds, ...isNumber },
  { title: "peak memory", text: (cell) => memory(cell.memory), key: (cell) => cell.memory, ...isNumber },
];

/** The command that runs a cell again, and a button that copies it. */
function again(cell) {
  const code = make("code", {}, `${data.cells.again} ${cell.again}`);
  const copy = async () => {
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected, to be copied";  // a page from a file may not write to the clipboard
    }
  };
  const button = make("button", { type: "button", class: "do", click: copy }, "copy");
  return make("span", {}, code, " ", button);
}

function cellDetails(cell) {
  const found = cell.findings.map((number) => data.cells.texts[number]);
  const drop = cell.low === null ? null : `${difference(cell.low, unitOf(cell))} to ${difference(cell.high, unitOf(cell))} below dense`;
  const show = make("button", { type: "button", class: "do", click: () => showDensities(cell) }, "its densities");
  const facts = [
    ["to run it again", again(cell)],
    ["level asked for", level(cell.level)],
    ["drop", drop],
    ["findings", found.length ? make("ul", {}, ...found.map((text) => make("li", {}, text))) : null],
    ["from the store", cell.cached ? "yes" : null],
    ["tensors", cell.tensors === null ? null : show],
  ];
  const shown = facts.filter(([, value]) => value !== null);
  return make("dl", { class: "facts" }, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function showCells(box) {
  const table = new Rows("Cells", CELL_COLUMNS, cells, cellDetails);
  const verdicts = [...new Set(cells.map((cell) => cell.verdict))].sort((a, b) => a - b);
  const text = new Map(cells.map((cell) => [cell, [cell.id, verdictOf(cell), ...cell.findings.map((n) => data.cells.texts[n])].join(" ").toLowerCase()]));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    const wanted = select.selectedIndex ? verdicts[select.selectedIndex - 1] : null;
    table.filter((cell) => (wanted === null || cell.verdict === wanted) && words.every((word) => text.get(cell).includes(word)));
  };
  const search = make("input", { type: "search", input: filter });
  const [label, select] = choice("verdict", "verdict", ["all", ...verdicts.map((number) => data.cells.verdicts[number])], filter);
  const controls = make("div", { class: "controls" }, make("label", {}, "with the words", search), label);
  box.replaceChildren(make("p", {}, "Press a cell for its command, its findings and its densities."), controls, ...table.elements);
}

/** What the cells of each (task, pruner) took together, beside how well the pruner did. */
function costs() {
  const found = new Map();
  for (const cell of cells.filter((cell) => cell.value !== null)) {
    const key = `${cell.task} ${cell.pruner}`;
    if (!found.has(key)) found.set(key, { task: cell.task, pruner: cell.pruner, cells: 0, passes: null, steps: 0, n: 0, seconds: 0, memory: null });
    const sum = found.get(key);
    sum.cells += 1;
    for (const name of ["steps", "n", "seconds"]) sum[name] += cell[name];
    if (cell.memory !== null) sum.memory = Math.max(sum.memory ?? 0, cell.memory);
    if (verdictOf(cell) === "pass") sum.passes = Math.max(sum.passes ?? 0, cell.level);
  }
  return [...found.values()];
}

const COST_COLUMNS = [
  { title: "pruner", text: (sum) => pruners[sum.pruner].name },
  { title: "task", text: (sum) => tasks[sum.task].name },
  { title: "highest pass", text: (sum) => (sum.passes === null ? "none" : level(sum.passes)), key: (sum) => sum.passes ?? -1, ...isNumber },
  { title: "cells", text: (sum) => count(sum.cells), key: (sum) => sum.cells, ...isNumber },
  { title: "training steps", text: (sum) => count(sum.steps || null), key: (sum) => sum.steps, ...isNumber },
  { title: "examples scored", text: (sum) => count(sum.n), key: (sum) => sum.n, ...isNumber },
  { title: "seconds", text: (sum) => seconds(sum.seconds), key: (sum) => sum.seconds, ...isNumber },
  { title: "peak memory", text: (sum) => memory(sum.memory), key: (sum) => sum.memory, ...isNumber },
];

if (cells.length) showCells(document.getElementById("cells-body"));
if (costs().length) {
  const words = "Of the measured cells of each pruner together: the work that a cell did not share with others, wherever it was done first. Highest pass: the highest level that passed.";
  document.getElementById("cost-body").replaceChildren(make("p", {}, words), ...new Rows("Cost", COST_COLUMNS, costs()).elements);
}
