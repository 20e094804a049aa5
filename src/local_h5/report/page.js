"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const number = (digits) => (v) => v === null ? "" : v.toLocaleString("en-US", {maximumFractionDigits: digits, minimumFractionDigits: digits}).replace("-", "−");
const percent = (v) => v === null ? "" : (Math.round(1e4 * v) / 100 + 0).toFixed(2).replace("-", "−") + " %";  // + 0: no "-0.00"
const plain = (v) => v === null ? "" : String(v);
const change = (v) => v === null ? "" : (v > 0 ? "+" : "") + (Math.abs(v) < 5e-5 && v ? (100 * v).toPrecision(1).replace("-", "−") + " %" : percent(v));
const shows = {plain, percent, change, number0: number(0), number1: number(1), number2: number(2)};

// A table of data.tables: columns [title, hint, show], rows, and how many rows are drawn at most.
function draw_table(element, {columns, rows, limit, status}) {
  const id = element.id, filter = document.getElementById(id + "-filter"), count = document.getElementById(id + "-count");
  const numeric = columns.map((_, at) => rows.some((row) => typeof row[at] === "number"));
  let sorted = {column: -1, sign: 1}, words = [];
  const head = element.createTHead().insertRow(), body = element.createTBody();
  columns.forEach(([title, hint], at) => {
    const cell = document.createElement("th"), button = document.createElement("button");
    button.type = "button"; button.textContent = title; cell.scope = "col"; cell.append(button);
    if (hint) cell.title = hint;
    if (numeric[at]) cell.className = "n";
    button.addEventListener("click", () => { sorted = {column: at, sign: sorted.column === at ? -sorted.sign : 1}; draw(); });
    head.append(cell);
  });
  function compare(a, b) {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;  // what is missing comes last
    return sorted.sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true}));
  }
  function draw() {
    let shown = rows;
    if (words.length) shown = shown.filter((row) => words.every((word) => row.some((v) => v !== null && String(v).toLowerCase().includes(word))));
    if (sorted.column >= 0) shown = [...shown].sort((a, b) => compare(a[sorted.column], b[sorted.column]));
    [...head.cells].forEach((cell, at) => {
      if (at === sorted.column) cell.setAttribute("aria-sort", sorted.sign > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    body.replaceChildren(...shown.slice(0, limit).map((row) => {
      const line = document.createElement("tr");
      if (status !== null) line.className = row[status];
      columns.forEach(([, , show], at) => {
        const cell = line.insertCell(), text = (shows[show] || plain)(row[at]);
        cell.textContent = text.length > 160 ? text.slice(0, 158) + " …" : text;
        if (text.length > 160) cell.title = text;
        if (typeof row[at] === "number") cell.className = "n"; else if (text.length > 40) cell.className = "long";
      });
      return line;
    }));
    element.dataset.rows = shown.length;
    if (count) count.textContent = (shown.length === rows.length ? "" : shown.length.toLocaleString("en-US") + " of ")
      + rows.length.toLocaleString("en-US") + (shown.length > limit ? ", the first " + limit + " shown" : "");
  }
  if (filter) filter.addEventListener("input", () => { words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean); draw(); });
  draw();
}
for (const [id, table] of Object.entries(data.tables)) draw_table(document.getElementById(id), table);

// A click on a district filters the tables.
if (data.map) draw_map(data.map, (district) => {
  for (const filter of document.querySelectorAll("[data-by-area]")) {
    filter.value = district;
    filter.dispatchEvent(new Event("input"));
  }
});
document.body.dataset.ready = "true";
