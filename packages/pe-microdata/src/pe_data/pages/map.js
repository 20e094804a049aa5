"use strict";
// The map: one measure at a time; the pointer or the arrow keys say what a district is. A click or Enter calls `act` with
// its name, or with "" when it was chosen already.
function draw_map({districts, middles, names, status, measures}, act) {
  const svg = document.getElementById("map"), select = document.getElementById("measure"), tip = document.getElementById("tip");
  const cells = districts.map((name) => svg.querySelector(`[data-area="${name}"]`));
  const hint = tip.textContent;
  let at = districts.indexOf("KS-01"), chosen = -1;
  function colour() {
    const classes = measures[select.value].classes.split(" ");
    cells.forEach((cell, n) => { cell.setAttribute("class", classes[n] + (n === chosen ? " chosen" : "")); });
    svg.querySelectorAll("[data-measure]").forEach((legend) => { legend.toggleAttribute("hidden", legend.dataset.measure !== select.value); });
  }
  function words(n) {
    const shown = Object.entries(measures).sort(([a], [b]) => (b === select.value) - (a === select.value));
    return [districts[n] + (names[n] && names[n] !== districts[n] ? " " + names[n] : "") + ": " + status[n],
      ...shown.map(([, measure]) => measure.title.charAt(0).toLowerCase() + measure.title.slice(1) + " " + measure.words[n])].join("; ");
  }
  function tell(n) { tip.textContent = n < 0 ? (chosen < 0 ? hint : words(chosen)) : words(n); }
  function choose(n) {
    chosen = chosen === n ? -1 : n;
    colour(); tell(n);
    act(chosen < 0 ? "" : districts[chosen]);
  }
  function go(n) { cells[at].tabIndex = -1; at = n; cells[at].tabIndex = 0; cells[at].focus(); }
  function next(dx, dy) {  // the nearest district on that side, rather ahead than aside
    const [x, y] = middles[at];
    let best = at, least = Infinity;
    middles.forEach(([x2, y2], n) => {
      const ahead = (x2 - x) * dx + (y2 - y) * dy, aside = Math.abs((x2 - x) * dy) + Math.abs((y2 - y) * dx);
      if (ahead > 0 && ahead >= aside && ahead + 2 * aside < least) { best = n; least = ahead + 2 * aside; }
    });
    go(best);
  }
  const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  cells.forEach((cell, n) => {
    cell.tabIndex = n === at ? 0 : -1;
    cell.setAttribute("role", "button");
    cell.addEventListener("mouseenter", () => tell(n));
    cell.addEventListener("mouseleave", () => tell(-1));
    cell.addEventListener("focus", () => { cell.setAttribute("aria-label", words(n)); tell(n); });
    cell.addEventListener("click", () => { go(n); choose(n); });
    cell.addEventListener("keydown", (event) => {
      if (arrows[event.key]) next(...arrows[event.key]);
      else if (event.key === "Enter" || event.key === " ") choose(n);
      else if (event.key === "Escape" && chosen >= 0) choose(chosen);
      else return;
      event.preventDefault();
    });
  });
  select.addEventListener("change", () => { colour(); tell(-1); });
  colour();
}
