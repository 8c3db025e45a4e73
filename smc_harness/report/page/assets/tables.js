// Tables that are sorted by a press on the head of a column; what has no value comes last in either direction.

const texts = new Intl.Collator("en", { numeric: true });
const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : texts.compare(a, b));

function sorted(items, key, descending) {
  const absent = (value) => value === null || value === undefined || value === "";
  return items
    .map((item) => [key(item), item])
    .sort(([a], [b]) => absent(a) - absent(b) || (absent(a) ? 0 : descending ? compare(b, a) : compare(a, b)))
    .map(([, item]) => item);
}

/** Put a button into each head. sort: is told the number of the column and whether the order is descending. */
function sortable(heads, sort) {
  heads.forEach((head, number) => {
    const press = () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(number, descending);
    };
    const title = head.textContent;
    head.replaceChildren(make("button", { type: "button", title: `${title}: sort`, click: press }, title));
  });
}

/** The matrix is there already: its rows are put in order by what its entries say. */
function sortMatrix(table) {
  const body = table.tBodies[0];
  const key = (number) => (row) => {
    const { dataset, textContent } = row.cells[number];
    return dataset.order === undefined ? textContent : dataset.order === "" ? null : Number(dataset.order);
  };
  sortable([...table.tHead.rows[0].cells], (number, descending) => body.append(...sorted([...body.rows], key(number), descending)));
}

const AT_ONCE = 25;

/**
 * A table of many rows, of which the first are shown, and more on demand and in print.
 * columns: [{title, text(row), key(row), number}]; the first is the head of its row, and one that is empty is left out.
 * details(row): what opens below a row.
 */
class Rows {
  constructor(title, possible, rows, details = null) {
    const columns = possible.filter(({ text }) => rows.some((row) => text(row) !== ""));
    Object.assign(this, { columns, rows, details, found: rows, order: null, limit: AT_ONCE });
    this.body = make("tbody");
    this.status = make("p", { class: "dim", role: "status" });
    this.more = make("button", { type: "button", class: "more", click: () => this.show(this.limit * 4) });
    const heads = columns.map(({ title: head, number }) => make("th", { scope: "col", class: number ? "number" : null }, head));
    sortable(heads, (number, descending) => {
      this.order = [columns[number], descending];
      this.show(AT_ONCE);
    });
    const table = make("table", {}, make("caption", { class: "unseen" }, title), make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.elements = [this.status, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table), this.more];
    window.addEventListener("beforeprint", () => this.show(Infinity));
    window.addEventListener("afterprint", () => this.show(AT_ONCE));
    this.show(AT_ONCE);
  }

  /** Leave only the rows of which `wanted` is true. */
  filter(wanted) {
    this.found = this.rows.filter(wanted);
    this.show(AT_ONCE);
  }

  show(limit) {
    this.limit = limit;
    const rows = this.order ? sorted(this.found, this.order[0].key ?? this.order[0].text, this.order[1]) : this.found;
    this.body.replaceChildren(...rows.slice(0, limit).map((row) => this.row(row)));
    this.status.textContent = rows.length === this.rows.length ? `${count(rows.length)} rows` : `${count(rows.length)} of ${count(this.rows.length)} rows`;
    this.more.hidden = rows.length <= limit;
    this.more.textContent = `Show more of the ${count(rows.length)} rows`;
  }

  row(row) {
    const [head, ...others] = this.columns;
    const name = this.details ? this.opener(row, head.text(row)) : head.text(row);
    const entries = others.map(({ text, number }) => make("td", { class: number ? "number" : null }, text(row)));
    return make("tr", {}, make("th", { scope: "row" }, name), ...entries);
  }

  opener(row, text) {
    const toggle = () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      const own = button.closest("tr");
      if (open) own.nextSibling.remove();
      else own.after(make("tr", { class: "detail" }, make("td", { colspan: this.columns.length }, this.details(row))));
    };
    const button = make("button", { type: "button", "aria-expanded": "false", click: toggle }, text);
    return button;
  }
}

const matrix = document.getElementById("matrix");
if (matrix) sortMatrix(matrix);
