/** The script of the index page: sorting and filtering. Without it, the list is complete and newest first. */

import { matches, numberIn, severity, sorted } from "./table.mjs";

const VERDICT = 1; // the column of verdicts

const table = document.getElementById("runs");
if (table) {
  sortByHeads(table);
  filterByForm(table, document.getElementById("filters"));
}

function sortByHeads(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(table, heads, column));
    head.replaceChildren(button);
  });
}

function sortBy(table, heads, column) {
  const head = heads[column];
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const [body] = table.tBodies;
  body.append(...sorted(body.rows, (row) => keyOf(row, column, head.dataset.kind === "number"), ascending));
}

function keyOf(row, column, numeric) {
  if (column === VERDICT) return severity(row.dataset.verdict);
  const words = row.cells[column].textContent.trim();
  return numeric ? numberIn(words) : words;
}

function filterByForm(table, form) {
  const { find, verdict } = form.elements;
  const filter = () => {
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) {
      row.hidden = !(matches(row.textContent, find.value) && ["", row.dataset.verdict].includes(verdict.value));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  find.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();
}
