"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const said = document.getElementById("said");
  const told = (value) => {
    if (value === null) return "-";
    if (typeof value === "string") return value;
    const size = Math.abs(value);
    return value !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential().replace("e+", "e") : value.toLocaleString("en");
  };
  const bounded = (at, count) => Math.max(0, Math.min(count - 1, at));
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  // ------------------------------------------------------------------------------------------ curves
  for (const figure of document.querySelectorAll("[data-chart]")) {
    const chart = data.charts[Number(figure.dataset.chart)];
    const cursor = figure.querySelector(".cursor"), area = figure.querySelector(".area");
    const label = figure.querySelector(".at"), values = [...figure.querySelectorAll(".value")];
    const before = values.map((value) => value.textContent);
    let at = -1;
    const show = (next, aloud) => {
      at = bounded(next, chart.x.length);
      cursor.setAttribute("d", `M${chart.places[at]} 0v1000`);
      label.textContent = `epoch ${chart.x[at].toLocaleString("en")}`;
      chart.series.forEach((series, i) => { values[i].textContent = told(series.values[at]); });
      if (aloud) {
        const all = chart.series.map((series) => `${series.name} ${told(series.values[at])}`).join(", ");
        said.textContent = `${label.textContent}: ${all}`;
      }
    };
    const clear = () => {
      at = -1;
      cursor.setAttribute("d", "");
      label.textContent = "";
      values.forEach((value, i) => { value.textContent = before[i]; });
    };
    area.addEventListener("pointermove", (event) => {
      const box = area.getBoundingClientRect(), place = (event.clientX - box.left) / box.width * 1000;
      let nearest = 0;
      chart.places.forEach((other, i) => {
        if (Math.abs(other - place) < Math.abs(chart.places[nearest] - place)) nearest = i;
      });
      show(nearest, false);
    });
    area.addEventListener("pointerleave", clear);
    figure.addEventListener("blur", clear);
    figure.addEventListener("keydown", (event) => {
      const last = chart.x.length - 1;
      const next = { ArrowLeft: at < 0 ? last : at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
      if (event.key === "Escape") clear();
      if (next === undefined) return;
      event.preventDefault();
      show(next, true);
    });
  }

  // ------------------------------------------------------------------------------------------ strips
  for (const cells of document.querySelectorAll("[data-strip]")) {
    const strip = data.strips[Number(cells.dataset.strip)];
    const here = cells.querySelector(".here"), readout = cells.closest("details").querySelector(".readout");
    const columns = strip.steps.length, rows = strip.rows.length;
    const hint = "Point at a cell, or focus the strip and use the arrow keys.";
    let column = 0, row = 0;
    const show = (nextColumn, nextRow, aloud) => {
      column = bounded(nextColumn, columns);
      row = bounded(nextRow, rows);
      const [first, last] = strip.steps[column].map((step) => step.toLocaleString("en"));
      const when = first === last ? `step ${first}` : `steps ${first} to ${last}`;
      readout.textContent = `${strip.rows[row]}, ${when}: ${told(strip.values[row][column])}`;
      Object.assign(here.style, {
        display: "block", left: `${column / columns * 100}%`, top: `${row / rows * 100}%`,
        width: `${100 / columns}%`, height: `${100 / rows}%`,
      });
      if (aloud) said.textContent = readout.textContent;
    };
    const clear = () => { here.style.display = "none"; readout.textContent = hint; };
    clear();
    cells.addEventListener("pointermove", (event) => {
      const box = cells.getBoundingClientRect();
      show(Math.floor((event.clientX - box.left) / box.width * columns),
        Math.floor((event.clientY - box.top) / box.height * rows), false);
    });
    cells.addEventListener("pointerleave", clear);
    cells.addEventListener("blur", clear);
    cells.addEventListener("focus", () => show(column, row, true));
    cells.addEventListener("keydown", (event) => {
      const ends = { Home: [-columns, 0], End: [columns, 0] };
      const move = moves[event.key] || ends[event.key];
      if (!move) return;
      event.preventDefault();
      show(column + move[0], row + move[1], true);
    });
  }
})();
