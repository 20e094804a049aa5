const root = document.body.dataset.root;
const words_of = (text) => text.trim().toLowerCase().split(/\s+/).filter(Boolean);

// Search: variables and files of the newest versions. The index is loaded when somebody begins to type.
{
  const MOST = 60, box = document.getElementById("search"), list = document.getElementById("found"), count = document.getElementById("search-count");
  let index = null, asked = false;
  function load() {
    if (asked) return;
    asked = true;
    const script = document.createElement("script");
    script.src = root + "assets/search.js";
    script.addEventListener("load", () => {
      index = catalogue_index.map(([title, words, dataset, page]) => ({title, words, dataset, page, text: [title, title.replace(/_/g, " "), words, dataset].join("\n").toLowerCase()}));
      show();
    });
    script.addEventListener("error", () => { count.textContent = "the index cannot be read"; });
    document.head.append(script);
  }
  function show() {
    const words = words_of(box.value);
    list.hidden = !words.length || !index;
    if (list.hidden) { count.textContent = ""; return; }
    const hits = index.filter(({text}) => words.every((word) => text.includes(word)));
    hits.sort((a, b) => !a.title.toLowerCase().includes(words[0]) - !b.title.toLowerCase().includes(words[0]));
    count.textContent = hits.length.toLocaleString("en-US") + " found" + (hits.length > MOST ? ", the first " + MOST + " shown" : "");
    list.replaceChildren(...hits.slice(0, MOST).map(({title, words, dataset, page}) => {
      const line = document.createElement("li"), link = document.createElement("a"), more = document.createElement("span");
      link.href = root + page; link.textContent = title;
      more.className = "quiet"; more.textContent = " " + dataset + (words ? " · " + (words.length > 140 ? words.slice(0, 138) + " …" : words) : "");
      line.append(link, more);
      return line;
    }));
  }
  box.addEventListener("focus", load);
  box.addEventListener("input", () => { load(); show(); });
  box.addEventListener("keydown", (event) => { if (event.key === "Escape") { box.value = ""; show(); } });
}

// A box that filters the rows of a table.
for (const box of document.querySelectorAll("[data-filter]")) {
  const rows = [...document.getElementById(box.dataset.filter).tBodies[0].rows], texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const words = words_of(box.value);
    let shown = 0;
    rows.forEach((row, n) => { row.hidden = !words.every((word) => texts[n].includes(word)); shown += !row.hidden; });
    box.nextElementSibling.textContent = (shown === rows.length ? "" : shown.toLocaleString("en-US") + " of ") + rows.length.toLocaleString("en-US");
  };
  box.addEventListener("input", filter);
  filter();
}

// A button that copies lines.
for (const block of document.querySelectorAll("pre")) {
  const frame = document.createElement("div"), button = document.createElement("button");
  frame.className = "code"; button.type = "button"; button.className = "plain"; button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy: " + block.getAttribute("aria-label"));
  button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(block.textContent); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(block); button.textContent = "Selected: press Ctrl+C"; }
  });
  block.replaceWith(frame);
  frame.append(block, button);
}

// The map: a click goes to the file.
{
  const data = document.getElementById("map-data");
  if (data) {
    const map = JSON.parse(data.textContent);
    draw_map(map, (district) => { const page = map.links[map.districts.indexOf(district)]; if (page) location.href = root + page; });
  }
}
document.body.dataset.ready = "true";
