"use strict";
(() => {
  document.documentElement.classList.add("js");
  const data = (root, name) => JSON.parse(root.querySelector(`script.${name}`).textContent);

  function leaderboard(board) {
    const body = board.querySelector(".leaderboard tbody");
    const rows = [...body.rows];
    const heads = [...board.querySelectorAll(".leaderboard thead th")].filter((head) => head.querySelector("button"));
    const find = board.querySelector(".find");
    const sources = board.querySelector(".sources");
    const schedules = board.querySelector(".schedules");
    const stale = board.querySelector(".stale");
    const variants = board.querySelector(".variants");
    const reference = board.querySelector(".reference");
    const count = board.querySelector(".count");
    const column = (name) => heads.findIndex((head) => head.textContent.trim() === name);
    const [scheduleColumn, comparedColumn] = [column("schedule"), column("compared")];

    function sort(column, direction) {
      const words = heads[column].classList.contains("words");
      const value = (row) => row.cells[column].dataset.value ?? "";
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // what has no value comes last either way
        return direction * (words ? x.localeCompare(y) : x - y);
      };
      body.append(...rows.sort(order));
      heads.forEach((head, i) => {
        if (i === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
    }

    function filter() {
      const text = find.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const measured = row.classList.contains("measured");
        const name = row.cells[0].textContent.toLowerCase();
        const wanted =
          name.includes(text) &&
          (sources.value === "" || (sources.value === "measured") === measured) &&
          (schedules.value === "" || (row.cells[scheduleColumn].dataset.value ?? "") === schedules.value) &&
          (stale.checked || row.dataset.stale !== "True") &&
          (variants.checked || row.dataset.variant !== "True");
        row.hidden = !wanted;
        shown += wanted;
      }
      count.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
    }

    function compare() {
      const verdicts = data(board, "verdicts")[reference.value];
      for (const row of rows) {
        const place = row.cells[comparedColumn];
        const verdict = row.dataset.number === undefined ? null : verdicts[row.dataset.number];
        place.textContent = verdict ? verdict.text : "";
        place.dataset.value = verdict ? verdict.value : "";
        place.className = `verdict ${verdict ? verdict.state : ""}`;
      }
      heads[comparedColumn].removeAttribute("aria-sort");
      board.querySelector(".to").textContent = reference.selectedOptions[0].textContent;
    }

    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const first = head.classList.contains("words") ? 1 : -1;
        sort(column, now === null ? first : now === "ascending" ? -1 : 1);
      });
    });
    board.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
    for (const control of [find, sources, schedules, stale, variants]) control.addEventListener("input", filter);
    reference?.addEventListener("input", compare);
    if (reference && !reference.selectedOptions[0].defaultSelected) compare(); // a page that is loaded again may keep the choice
    filter();
  }

  function curves(chart) {
    const values = data(chart, "values");
    const drawing = chart.querySelector(".curves");
    const shapes = [...chart.querySelectorAll(".curve")];
    const boxes = [...chart.querySelectorAll(".legend input[type=checkbox]")];
    const places = [...chart.querySelectorAll(".at")];
    const slider = chart.querySelector("input[type=range]");
    const cursor = chart.querySelector(".cursor");
    const frame = drawing.querySelector(".grid path").getBBox();
    const ranks = Number(slider.max);

    function show() {
      boxes.forEach((box, i) => shapes[i].classList.toggle("off", !box.checked));
    }

    function at(rank) {
      slider.value = rank;
      chart.querySelector("output").textContent = rank;
      const x = (frame.width * (rank - 1)) / Math.max(ranks - 1, 1);
      cursor.setAttribute("transform", `translate(${x} 0)`);
      places.forEach((place, i) => {
        const value = values[i][rank - 1];
        place.textContent = value === undefined ? "" : value.toFixed(1);
      });
    }

    function choose(wanted) {
      boxes.forEach((box, i) => (box.checked = wanted(i)));
      show();
    }

    const first = boxes.map((box) => box.defaultChecked);
    chart.querySelector(".some").addEventListener("click", () => choose((i) => first[i]));
    chart.querySelector(".every").addEventListener("click", () => choose(() => true));
    chart.querySelector(".none").addEventListener("click", () => choose(() => false));
    boxes.forEach((box, i) => {
      box.addEventListener("input", show);
      const item = box.closest("li");
      for (const [event, on] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]])
        item.addEventListener(event, () => shapes[i].classList.toggle("strong", on));
    });
    slider.addEventListener("input", () => at(Number(slider.value)));
    drawing.addEventListener("pointermove", (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
      const rank = 1 + Math.round(((point.x - frame.x) / frame.width) * (ranks - 1));
      at(Math.min(Math.max(rank, 1), ranks));
    });
    show();
    at(Number(slider.value));
  }

  document.querySelectorAll(".board").forEach(leaderboard);
  document.querySelectorAll(".chart").forEach(curves);
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open]):not(.account)")) closed.push(part), (part.open = true);
  });
  addEventListener("afterprint", () => closed.splice(0).forEach((part) => (part.open = false)));
})();
