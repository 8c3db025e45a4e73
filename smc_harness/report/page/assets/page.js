// What all parts of the page use. Text that a plugin wrote reaches the page as text nodes and attributes, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const { tasks, pruners } = data;
const cells = data.cells.rows.map((row) => Object.fromEntries(data.cells.columns.map((name, i) => [name, row[i]])));

/** An element. attributes: by name; a function is a listener. children: elements, and text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.map((child) => child ?? ""));
  return element;
}

/** `84.38 %` of a fraction, `17.05 BLEU`. */
function score(value, unit) {
  if (value === null) return "";
  return unit === "fraction" ? `${(100 * value).toFixed(2)} %` : `${value.toFixed(2)} ${unit}`.trim();
}

/** `-0.0012` as `-0.12 points`; what is no fraction keeps its unit. */
function difference(value, unit) {
  return unit === "fraction" ? `${(100 * value).toFixed(2)} points` : score(value, unit);
}

const grouped = new Intl.NumberFormat("en");
const count = (value) => (value === null ? "" : grouped.format(value));
const seconds = (value) => (value === null ? "" : value < 10 ? value.toFixed(2) : grouped.format(Math.round(value)));
const memory = (bytes) => (bytes === null ? "" : `${(bytes / 2 ** 20).toFixed(0)} MiB`);
const level = (value) => String(value);

/** A choice among texts, with its label; `changed` is told the number of the chosen one. */
function choice(id, label, texts, changed) {
  const select = make("select", { id, change: () => changed(select.selectedIndex) }, ...texts.map((text) => make("option", {}, text)));
  return [make("span", {}, make("label", { for: id }, label), " ", select), select];
}

/** A cell's id, which may be broken where its parts begin. */
const breakable = (id) => id.split(/(?<=::)|(?=\[)/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));

window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
