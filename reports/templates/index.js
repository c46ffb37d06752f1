"use strict";
/* Sorting and filtering of the list of runs; without it the list is whole, newest first. */
(() => {
  const table = document.getElementById("runs");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const find = document.getElementById("find"), verdict = document.getElementById("verdict"), shown = document.getElementById("shown");
  const severity = { invalid: 0, unknown: 1, unreadable: 2, valid: 3 };

  const filter = () => {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(wanted.every((word) => text.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = count === rows.length ? "" : count + " of " + rows.length + " shown";
  };
  const value = (row, column, numeric) => {
    if (column === 1) return severity[row.dataset.verdict];
    const text = row.cells[column].textContent.trim();
    return numeric ? (Number.isNaN(parseFloat(text)) ? -Infinity : parseFloat(text)) : text;
  };
  const sort = (column) => {
    const head = heads[column], up = head.getAttribute("aria-sort") !== "ascending", numeric = head.dataset.kind === "number";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = (a, b) => {
      const left = value(a, column, numeric), right = value(b, column, numeric);
      const order = typeof left === "number" ? left - right : left.localeCompare(right, undefined, { numeric: true });
      return up ? order : -order;
    };
    body.append(...rows.sort(compare));
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });
  document.getElementById("filters").hidden = false;
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  find.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();
})();
