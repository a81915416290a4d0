"use strict";
(() => {
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  /* What is shown: figures of the chosen variable and run; a section without any says so. */
  const variable = find("#variable"), run = find("#run"), theme = find("#theme");
  const fits = (figure, key, choice) => !choice || !figure.dataset[key] || figure.dataset[key] === choice;
  const show = () => {
    for (const section of all("main > section")) {
      const figures = all("figure", section);
      for (const figure of figures) {
        figure.hidden = !(fits(figure, "variable", variable.value) && fits(figure, "run", run ? run.value : ""));
      }
      const shown = figures.filter((figure) => !figure.hidden).length;
      const absent = find(".absent", section), plates = find(".plates", section);
      if (absent) absent.hidden = shown > 0;
      if (plates) plates.classList.toggle("solo", shown === 1);
    }
  };
  for (const control of [variable, run]) control?.addEventListener("change", show);
  for (const button of all("[data-reset]")) {
    button.addEventListener("click", () => {
      variable.value = "";
      if (run) run.value = "";
      show();
      button.closest("section").scrollIntoView();
    });
  }
  theme.addEventListener("change", () => { document.documentElement.dataset.theme = theme.value; });
  const controls = find("#controls");
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
  show();

  /* The table: every word of the search must begin a cell; headings sort, a second time the other way. */
  const table = find("#all"), body = table.tBodies[0], search = find("#search"), count = find("#count");
  const rows = [...body.rows].map((row, place) => {
    const cells = [...row.cells].map((cell) => cell.textContent.trim());
    return { row, place, cells, words: cells.join(" ").toLowerCase().split(/\s+/) };
  });
  const filter = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, words } of rows) {
      row.hidden = !wanted.every((want) => words.some((word) => word.startsWith(want)));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  search.addEventListener("input", filter);
  find(".search").hidden = false;
  filter();

  const value = (text) => (text === "" || text === "–" ? NaN : Number(text));
  const compare = (column, way) => (a, b) => {
    const [x, y] = [a.cells[column], b.cells[column]], [p, q] = [value(x), value(y)];
    const [known, other] = [!Number.isNaN(p), !Number.isNaN(q)];
    if (known && other) return way * (p - q) || a.place - b.place;
    if (known !== other) return known ? -1 : 1;
    return way * x.localeCompare(y) || a.place - b.place;
  };
  const headings = all("thead th", table);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const rising = heading.getAttribute("aria-sort") !== "ascending";
      for (const one of headings) one.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
      rows.sort(compare(column, rising ? 1 : -1));
      body.append(...rows.map(({ row }) => row));
    });
  });
})();
